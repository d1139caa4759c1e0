#ifndef ROOST_CRC32C_H
#define ROOST_CRC32C_H
#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli, RFC 3720 appendix B.4). `seed` is 0 for a new checksum or the result so far.
uint32_t roost_crc32c(uint32_t seed, const void *bytes, size_t count);
// The portable version, for tests against the dispatched one.
uint32_t roost_crc32c_portable(uint32_t seed, const void *bytes, size_t count);

#endif
