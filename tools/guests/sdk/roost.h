// Roost guest SDK for C: filters, scorers, transforms and embedders in a few lines. See spec/wasm-abi.md for what lies beneath and
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
// Microseconds since 1970-01-01T00:00:00Z, the same throughout a query. Needs the capability clock.
__attribute__((import_module("roost"), import_name("clock"))) int64_t roost_now(void);
// A random number that depends on the key and the query's parameters alone. Needs the capability random.
__attribute__((import_module("roost"), import_name("random"))) uint64_t roost_random(int64_t key);
// Finds a value that was published with the module; false when there is none. It stays until the next call.
// Needs the capability kv.
bool roost_state(const void *key, size_t key_size, roost_value *value);
// Whether a string or bytes value is this text.
bool roost_is(const roost_value *value, const char *text);
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

// A record that a search has come upon.
typedef struct {
  roost_fields fields;   // its payload, or those fields of it that were declared
  float distance;        // to what is searched near; 0 in a filter
  const float *vector;   // NaNs when the record has none
  uint32_t dimension;    // of the vector; 0 without ROOST_READS_VECTOR
} roost_candidate;

// What a module of each kind defines, besides one ROOST_DEFINE_… line.

// All but embedders: reads the parameters; returns 0, or roost_fail(...).
int32_t configure(roost_fields parameters);
// Filter.
bool passes(roost_candidate candidate);
// Scorer: larger is better, -INFINITY leaves the candidate out; nearest candidates first.
float score(roost_candidate candidate);
// Transform: says what changes; returns 0, or refuses the record with roost_fail(...).
typedef struct roost_changes roost_changes;
int32_t transform(roost_fields record, roost_changes *changes);
void roost_set(roost_changes *changes, const char *name, const roost_value *value);
void roost_set_number(roost_changes *changes, const char *name, double number);
void roost_set_int(roost_changes *changes, const char *name, int64_t number);
void roost_set_bool(roost_changes *changes, const char *name, bool flag);
void roost_set_string(roost_changes *changes, const char *name, const char *text, uint32_t size);
void roost_remove(roost_changes *changes, const char *name);
// Embedder: writes the vector of one text, or of one image or other bytes, into zeros; returns 0, or
// roost_fail(...).
int32_t embed(const uint8_t *data, uint32_t size, float *vector);
// Optional: told what is searched near; count is 0 when that is no single vector.
void searched_near(const float *vector, uint32_t count);

#define ROOST_EXPORT(name) __attribute__((export_name(name)))

// Names the payload fields that are read, with newlines between them: the host then copies just these.
#define ROOST_READS_FIELDS(names) \
  ROOST_EXPORT("roost_fields") uint64_t roost_fields_export(void) { return roost_span(names, sizeof names - 1); }
// Names the vector field that is read; "*" is the one that is searched.
#define ROOST_READS_VECTOR(name) \
  ROOST_EXPORT("roost_vector") uint64_t roost_vector_export(void) { return roost_span(name, sizeof name - 1); }

#define ROOST_DEFINE_CONFIGURE_                                                                                \
  ROOST_EXPORT("roost_configure") int32_t roost_configure_export(const uint8_t *parameters, uint32_t size) {   \
    return configure(roost_keep(parameters, size));                                                            \
  }                                                                                                            \
  ROOST_EXPORT("roost_query") int32_t roost_query_export(const float *vector, uint32_t count, uint32_t size) { \
    roost_dimension_ = size;                                                                                   \
    searched_near(vector, count);                                                                                   \
    return 0;                                                                                                  \
  }

#define ROOST_DEFINE_FILTER                                                                            \
  ROOST_DEFINE_CONFIGURE_                                                                              \
  ROOST_EXPORT("roost_filter") int32_t roost_filter_export(                                            \
      const uint8_t *input, uint32_t count, uint8_t *verdicts) {                                       \
    roost_batch batch = roost_begin(input, count, false);                                              \
    for (uint32_t i = 0; i < count; i++) verdicts[i] = passes(roost_candidate_at(&batch, i));          \
    return (int32_t)count;                                                                             \
  }

#define ROOST_DEFINE_SCORER                                                                            \
  ROOST_DEFINE_CONFIGURE_                                                                              \
  ROOST_EXPORT("roost_score") int32_t roost_score_export(                                              \
      const uint8_t *input, uint32_t count, float *scores) {                                           \
    roost_batch batch = roost_begin(input, count, true);                                               \
    for (uint32_t i = 0; i < count; i++) scores[i] = score(roost_candidate_at(&batch, i));             \
    return (int32_t)count;                                                                             \
  }

#define ROOST_DEFINE_TRANSFORM                                                                         \
  ROOST_EXPORT("roost_configure") int32_t roost_configure_export(const uint8_t *data, uint32_t size) { \
    return configure(roost_keep(data, size));                                                          \
  }                                                                                                    \
  ROOST_EXPORT("roost_transform") int32_t roost_transform_export(                                      \
      const uint8_t *input, uint32_t count, uint32_t *output) {                                        \
    return roost_transform_batch(input, count, output, transform);                                     \
  }

#define ROOST_DEFINE_EMBEDDER(dimension_) ROOST_DEFINE_EMBEDDER_("roost_embed", dimension_)
#define ROOST_DEFINE_BYTES_EMBEDDER(dimension_) ROOST_DEFINE_EMBEDDER_("roost_embed_bytes", dimension_)
#define ROOST_DEFINE_EMBEDDER_(name_, dimension_)                                                       \
  ROOST_EXPORT("roost_dimension") int32_t roost_dimension_export(void) { return (dimension_); }         \
  ROOST_EXPORT(name_) int32_t roost_embed_export(const uint8_t *input, int32_t count, float *vectors) { \
    memset(vectors, 0, sizeof(float) * (size_t)count * (dimension_));                                   \
    for (int32_t i = 0; i < count; i++) {                                                               \
      roost_fields item = roost_item(input, (uint32_t)i);                                               \
      int32_t status = embed(item.data, item.size, vectors + (size_t)i * (dimension_));                 \
      if (status < 0) return status;                                                                    \
    }                                                                                                   \
    return count;                                                                                       \
  }

// What the macros need.

extern uint32_t roost_dimension_;

typedef struct {
  const uint8_t *input;
  const float *distances, *vectors;
} roost_batch;

roost_fields roost_keep(const uint8_t *data, uint32_t size);
roost_batch roost_begin(const uint8_t *input, uint32_t count, bool has_distances);
int32_t roost_transform_batch(
    const uint8_t *input, uint32_t count, uint32_t *output, int32_t (*change)(roost_fields, roost_changes *));

static inline uint64_t roost_span(const void *data, uint32_t size) {
  return (uint64_t)(uintptr_t)data << 32 | size;
}

static inline roost_fields roost_item(const uint8_t *input, uint32_t index) {
  const uint32_t *offsets = (const uint32_t *)input;
  return (roost_fields){input + offsets[index], offsets[index + 1] - offsets[index]};
}

static inline roost_candidate roost_candidate_at(const roost_batch *batch, uint32_t index) {
  return (roost_candidate){
      roost_item(batch->input, index), batch->distances ? batch->distances[index] : 0,
      batch->vectors + (size_t)index * roost_dimension_, roost_dimension_};
}

#endif
