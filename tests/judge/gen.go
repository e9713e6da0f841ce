// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"flag"
)

func gen(flags *flag.FlagSet, args []string) error { return errors.New("later") }
