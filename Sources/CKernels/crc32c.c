// CRC-32C: SSE4.2 with three interleaved streams on x86-64, the CRC extension on aarch64, and
// slicing-by-eight elsewhere. The three streams hide the instruction's latency of three cycles
// (Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction", Intel 2011);
// they are joined by multiplying by x^(8n) modulo the polynomial.
#include "crc32c.h"
#include <pthread.h>
#include <string.h>

#define POLY 0x82f63b78u
#define LANE 1024

static uint32_t table[8][256];
static uint32_t lane_shift[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t shift_one_lane_bitwise(uint32_t crc) {
  for (size_t bit = 0; bit < LANE * 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? POLY : 0);
  return crc;
}

static void build_tables(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t crc = n;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? POLY : 0);
    table[0][n] = crc;
  }
  for (uint32_t n = 0; n < 256; n++)
    for (int k = 1; k < 8; k++) table[k][n] = (table[k - 1][n] >> 8) ^ table[0][table[k - 1][n] & 255];
  // Advancing a register over LANE zero bytes is linear: tabulate it for each byte of the register.
  uint32_t basis[32];
  for (int bit = 0; bit < 32; bit++) basis[bit] = shift_one_lane_bitwise(1u << bit);
  for (int byte = 0; byte < 4; byte++)
    for (uint32_t n = 0; n < 256; n++) {
      uint32_t value = 0;
      for (int bit = 0; bit < 8; bit++)
        if (n >> bit & 1) value ^= basis[byte * 8 + bit];
      lane_shift[byte][n] = value;
    }
}

uint32_t roost_crc32c_portable(uint32_t seed, const void *bytes, size_t count) {
  pthread_once(&once, build_tables);
  const uint8_t *p = bytes;
  uint32_t crc = ~seed;
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    word ^= crc;
    crc = table[7][word & 255] ^ table[6][word >> 8 & 255] ^ table[5][word >> 16 & 255] ^
          table[4][word >> 24 & 255] ^ table[3][word >> 32 & 255] ^ table[2][word >> 40 & 255] ^
          table[1][word >> 48 & 255] ^ table[0][word >> 56];
    p += 8;
    count -= 8;
  }
  while (count--) crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 255];
  return ~crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

static uint32_t advance_lane(uint32_t crc) {
  return lane_shift[0][crc & 255] ^ lane_shift[1][crc >> 8 & 255] ^ lane_shift[2][crc >> 16 & 255] ^
         lane_shift[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t seed, const void *bytes, size_t count) {
  const uint8_t *p = bytes;
  uint64_t crc = (uint32_t)~seed;
  while (count >= 3 * LANE) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < LANE; i += 8) {
      uint64_t x, y, z;
      memcpy(&x, p + i, 8);
      memcpy(&y, p + LANE + i, 8);
      memcpy(&z, p + 2 * LANE + i, 8);
      a = _mm_crc32_u64(a, x);
      b = _mm_crc32_u64(b, y);
      c = _mm_crc32_u64(c, z);
    }
    crc = advance_lane(advance_lane((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    p += 3 * LANE;
    count -= 3 * LANE;
  }
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    crc = _mm_crc32_u64(crc, word);
    p += 8;
    count -= 8;
  }
  while (count--) crc = _mm_crc32_u8((uint32_t)crc, *p++);
  return ~(uint32_t)crc;
}

uint32_t roost_crc32c(uint32_t seed, const void *bytes, size_t count) {
  pthread_once(&once, build_tables);
  return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(seed, bytes, count)
                                          : roost_crc32c_portable(seed, bytes, count);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t roost_crc32c(uint32_t seed, const void *bytes, size_t count) {
  const uint8_t *p = bytes;
  uint32_t crc = ~seed;
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    crc = __crc32cd(crc, word);
    p += 8;
    count -= 8;
  }
  while (count--) crc = __crc32cb(crc, *p++);
  return ~crc;
}
#else
uint32_t roost_crc32c(uint32_t seed, const void *bytes, size_t count) {
  return roost_crc32c_portable(seed, bytes, count);
}
#endif
