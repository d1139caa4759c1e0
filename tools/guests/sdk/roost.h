// Roost guest SDK for C: write a filter in a few lines. See spec/wasm-abi.md for what lies beneath and
// tools/guests/size-below-c for an example. Build with `roost module build FILE.c -o FILE.wasm`.
#ifndef ROOST_GUEST_H
#define ROOST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The fields of a candidate, or the parameters of the query. Candidates are valid during the call only;
// parameters for as long as the instance lives.
typedef struct {
  const uint8_t *data;
  uint32_t size;
} roost_fields;

typedef enum {
  ROOST_NULL = 0,
  ROOST_FALSE = 1,
  ROOST_TRUE = 2,
  ROOST_INT = 3,
  ROOST_DOUBLE = 4,
  ROOST_STRING = 5,
  ROOST_BYTES = 6,
  ROOST_GEO = 7,
  ROOST_DATETIME = 8,
  ROOST_ARRAY = 9,
  ROOST_MAP = 10,
} roost_tag;

typedef struct {
  roost_tag tag;
  union {
    int64_t integer;   // ROOST_INT, ROOST_DATETIME (microseconds since 1970)
    double number;     // ROOST_DOUBLE
    struct {           // ROOST_STRING (UTF-8, no final zero), ROOST_BYTES
      const uint8_t *data;
      uint32_t size;
    } bytes;
    struct {           // ROOST_GEO, degrees
      double latitude, longitude;
    } geo;
    roost_fields map;  // ROOST_MAP
    struct {           // ROOST_ARRAY: the elements, read them with roost_next
      const uint8_t *data;
      uint32_t size, count;
    } array;
  } of;
} roost_value;

// Finds a field by name; false when there is none.
bool roost_get(roost_fields fields, const char *name, size_t name_size, roost_value *value);
// Reads the next element of an array and moves on; false at the end.
bool roost_next(roost_value *array, roost_value *element);
// An int or a double as a double; false for anything else.
bool roost_number(const roost_value *value, double *number);
// Writes a line to the node's log: 0 debug, 1 info, 2 warning, 3 error.
__attribute__((import_module("roost"), import_name("log"))) void roost_log(
    int32_t level, const char *line, int32_t size);
// Says why a call fails, and returns the status to fail with. The text must stay valid.
int32_t roost_fail(const char *message);
// The same for a text of a known size.
int32_t roost_fail_text(const void *message, uint32_t size);

// The model file that was linked into the module, 64-aligned; its size is 0 when there is none.
const uint8_t *roost_model_start(void);
uint32_t roost_model_size(void);

void *malloc(size_t size);
void free(void *block);
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

// A filter defines these two, and writes ROOST_DEFINE_FILTER once.
int32_t configure(roost_fields parameters);  // 0, or roost_fail(...)
bool passes(roost_fields candidate);

// Internal to the macro: keeps a copy of the parameters, hands out the i-th item of a batch.
roost_fields roost_keep(const uint8_t *data, uint32_t size);
static inline roost_fields roost_item(const uint8_t *input, uint32_t index) {
  const uint32_t *offsets = (const uint32_t *)input;
  return (roost_fields){input + offsets[index], offsets[index + 1] - offsets[index]};
}

#define ROOST_DEFINE_FILTER                                                                       \
  __attribute__((export_name("roost_configure"))) int32_t roost_configure(                        \
      const uint8_t *parameters, uint32_t size) {                                                 \
    return configure(roost_keep(parameters, size));                                               \
  }                                                                                               \
  __attribute__((export_name("roost_filter"))) int32_t roost_filter(                              \
      const uint8_t *input, int32_t count, uint8_t *verdicts) {                                   \
    for (int32_t i = 0; i < count; i++) verdicts[i] = passes(roost_item(input, (uint32_t)i));     \
    return count;                                                                                 \
  }

#endif
