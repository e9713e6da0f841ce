// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// elements returns the bytes of each occurrence of the length-delimited field num, in order, as they
// stand on the wire.
func elements(message []byte, num protowire.Number) ([][]byte, error) {
	var found [][]byte
	for at := 0; at < len(message); {
		n, typ, tag := protowire.ConsumeTag(message[at:])
		if tag < 0 {
			return nil, fmt.Errorf("bad tag at byte %d", at)
		}
		size := protowire.ConsumeFieldValue(n, typ, message[at+tag:])
		if size < 0 {
			return nil, fmt.Errorf("bad value of field %d at byte %d", n, at)
		}
		if n == num && typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[at+tag:])
			found = append(found, value)
		}
		at += tag + size
	}
	return found, nil
}

// numbers returns the field numbers that occur at the top of a message.
func numbers(message []byte) (map[protowire.Number]int, error) {
	count := map[protowire.Number]int{}
	for at := 0; at < len(message); {
		n, _, size := protowire.ConsumeField(message[at:])
		if size < 0 {
			return nil, fmt.Errorf("bad field at byte %d", at)
		}
		count[n]++
		at += size
	}
	return count, nil
}
