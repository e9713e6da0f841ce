/* SPDX-License-Identifier: Apache-2.0 */
#include "device_text.h"

#include <inttypes.h>

#include "base/macros.h"

enum {
        SELECTED_OF = 50,
        MOVED_OF = 100,
        OFFLINE_OF = 10,
};

/* SplitMix64's last step: what is near comes out far apart. */
static uint64_t mix(uint64_t x)
{
        x += 0x9e3779b97f4a7c15;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

static bool is_selected(size_t i)
{
        return mix(i) % SELECTED_OF == 0;
}

static bool is_moved(size_t i)
{
        return mix(i ^ 0x5555) % MOVED_OF == 0;
}

DeviceCounts device_text_count(size_t first, size_t n)
{
        DeviceCounts c = {0};
        for (size_t i = first; i < first + n; i++) {
                c.selected += is_selected(i);
                c.moved += is_moved(i);
                c.both += is_selected(i) && is_moved(i);
        }
        return c;
}

static void write_id(FILE *f, size_t i)
{
        static const char digits[] =
                "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        char text[12] = {0};
        uint64_t x = mix(i * 3 + 1);
        for (size_t at = 0; at + 1 < sizeof text; at++, x /= 62)
                text[at] = digits[x % 62];
        fprintf(f, "\"id\":\"%" PRIu64 "\",\"nodeId\":\"n%sCNTRL\"", mix(i) >> 11, text);
}

static void write_key(FILE *f, const char *name, const char *prefix, uint64_t seed)
{
        fprintf(f, ",\"%s\":\"%s%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "\"", name,
                prefix, mix(seed), mix(seed + 1), mix(seed + 2), mix(seed + 3));
}

static void write_contact(FILE *f, size_t i)
{
        if (mix(i + 7) % OFFLINE_OF == 0)
                fprintf(f, ",\"connectedToControl\":false,\"lastSeen\":\"2026-10-%02zuT08:30:00Z\"",
                        1 + i % 28);
        else
                fputs(",\"connectedToControl\":true", f);
}

static void write_connectivity(FILE *f, size_t i, unsigned answer)
{
        static const char *const regions[] = {"Frankfurt", "Amsterdam", "New York City"};
        fprintf(f,
                ",\"clientConnectivity\":{\"endpoints\":[\"203.0.113.%zu:41641\",\"10.%zu.%zu.7:"
                "41641\"],\"mappingVariesByDestIP\":false,\"latency\":{",
                i % 256, i / 256 % 256, i % 256);
        for (size_t r = 0; r < LENGTH_OF(regions); r++) {
                uint64_t x = mix(i * 4 + r + (uint64_t)answer * 1000003) % 2000;
                fprintf(f, "%s\"%s\":{%s\"latencyMs\":%" PRIu64 ".%02" PRIu64 "}", r > 0 ? "," : "",
                        regions[r], r == 0 ? "\"preferred\":true," : "", x / 10, x % 10 * 7);
        }
        fputs("},\"clientSupports\":{\"hairPinning\":null,\"ipv6\":false,\"pcp\":false,"
              "\"pmp\":false,\"udp\":true,\"upnp\":false}}",
              f);
}

static void write_device(FILE *f, const DeviceAnswer *a, size_t i)
{
        const char *name = is_selected(i) ? "api" : "laptop";
        /* Of 100.64.0.0/10: who moves gets one above all that others have. */
        size_t ip = (i + (is_moved(i) ? (size_t)a->moved << 18 : 0)) % (1 << 22);
        fprintf(f, "{\"addresses\":[\"100.%zu.%zu.%zu\",\"fd7a:115c:a1e0::%zx:%zx\"],",
                64 + (ip >> 16), ip >> 8 & 255, ip & 255, 1 + (ip >> 16), 1 + (ip & 0xffff));
        write_id(f, i);
        fprintf(f,
                ",\"user\":\"user-%zu@example.com\",\"name\":\"%s-%06zu.tail1a2b3.ts.net\","
                "\"hostname\":\"%s-%06zu\",\"clientVersion\":\"1.98.2-t%012" PRIx64
                "\",\"updateAvailable\":false,\"os\":\"linux\",\"created\":\"2026-01-%02zuT10:00:"
                "00Z\"",
                i % 500, name, i, name, i, mix(i) >> 16, 1 + i % 28);
        write_contact(f, i);
        fputs(",\"keyExpiryDisabled\":false,\"expires\":\"2029-05-01T10:00:00Z\",\"authorized\":"
              "true,\"isExternal\":false",
              f);
        write_key(f, "machineKey", "mkey:", i * 16);
        write_key(f, "nodeKey", "nodekey:", i * 16 + 4);
        fputs(",\"blocksIncomingConnections\":false,\"enabledRoutes\":[],\"advertisedRoutes\":[]",
              f);
        write_connectivity(f, i, a->answer);
        fprintf(f,
                ",\"tags\":[\"tag:server\",\"tag:site-%zu\"],\"tailnetLockError\":\"\","
                "\"tailnetLockKey\":\"\"",
                i % 20);
        fprintf(f,
                ",\"sshEnabled\":false,\"postureIdentity\":{\"serialNumbers\":[\"%" PRIx64
                "\"]},\"isEphemeral\":false,\"distro\":{\"name\":\"debian\",\"version\":\"12\","
                "\"codeName\":\"bookworm\"}}",
                mix(i + 11));
}

bool device_text_write(FILE *f, const DeviceAnswer *a)
{
        fputs("{\"devices\":[", f);
        for (size_t i = 0; i < a->n; i++) {
                if (i > 0)
                        fputc(',', f);
                write_device(f, a, a->first + i);
        }
        fputs("]}\n", f);
        return ferror(f) == 0 && fflush(f) == 0;
}
