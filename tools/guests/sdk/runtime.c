// Roost guest SDK: the C runtime under every guest, in C or Embedded Swift. It has the exports that all
// modules share (roost_abi, roost_buffer, roost_message), an allocator, and the few C functions that
// compilers call on their own.
#include "roost.h"

// Memory functions. Short runs go word by word; the bulk instructions cost a call into the host.

typedef uint64_t __attribute__((aligned(1), may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  if (size >= 128) {
    __asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.copy 0, 0" : : "r"(to), "r"(from), "r"(size) : "memory");
    return to;
  }
  unsigned char *d = to;
  const unsigned char *s = from;
  for (; size >= 8; size -= 8, d += 8, s += 8) *(word *)d = *(const word *)s;
  for (; size; size--) *d++ = *s++;
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  __asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.copy 0, 0" : : "r"(to), "r"(from), "r"(size) : "memory");
  return to;
}

void *memset(void *to, int byte, size_t size) {
  if (size >= 128) {
    __asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.fill 0" : : "r"(to), "r"(byte), "r"(size) : "memory");
    return to;
  }
  unsigned char *d = to;
  uint64_t pattern = (unsigned char)byte * 0x0101010101010101ull;
  for (; size >= 8; size -= 8, d += 8) *(word *)d = pattern;
  for (; size; size--) *d++ = (unsigned char)byte;
  return to;
}

int memcmp(const void *a, const void *b, size_t size) {
  const unsigned char *x = a, *y = b;
  for (; size; size--, x++, y++)
    if (*x != *y) return *x < *y ? -1 : 1;
  return 0;
}

size_t strlen(const char *text) {
  const char *end = text;
  while (*end) end++;
  return (size_t)(end - text);
}

// The allocator: free lists by size class, four classes to each doubling, so that at most a quarter of a
// block is wasted; blocks are never split or joined. Every block follows a 16-byte head.

typedef struct block {
  uint32_t class;
  uint32_t shift;  // bytes from the end of the class's block start to this one, for large alignments
  struct block *next;
  uint32_t unused;
} block;

enum { CLASSES = 4 * 27, HEAD = 16, PAGE = 65536 };
_Static_assert(sizeof(block) == HEAD, "the head keeps blocks 16-aligned");

extern unsigned char __heap_base;
static block *free_blocks[CLASSES];
static uintptr_t top;

static uint32_t class_of(size_t size) {
  if (size <= 16) return 0;
  uint32_t log = 31 - (uint32_t)__builtin_clz((uint32_t)(size - 1));
  uint32_t quarter = (uint32_t)((size - 1) >> (log - 2)) & 3;
  return (log - 4) * 4 + quarter + 1;
}

static size_t size_of(uint32_t class) {
  if (class == 0) return 16;
  uint32_t log = (class - 1) / 4 + 4;
  // Multiples of 16 keep what follows aligned.
  return (((size_t)((class - 1) % 4 + 5) << (log - 2)) + 15) & ~(size_t)15;
}

void *malloc(size_t size) {
  if (size > 0x70000000u) return NULL;
  uint32_t class = class_of(size);
  block *b = free_blocks[class];
  if (b) {
    free_blocks[class] = b->next;
    return (unsigned char *)b + HEAD;
  }
  if (!top) top = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  size_t need = size_of(class) + HEAD;
  size_t have = (size_t)__builtin_wasm_memory_size(0) * PAGE;
  if (need > have - top) {
    size_t pages = (need - (have - top) + PAGE - 1) / PAGE;
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return NULL;
  }
  b = (block *)top;
  top += need;
  b->class = class;
  b->shift = 0;
  return (unsigned char *)b + HEAD;
}

void free(void *p) {
  if (!p) return;
  block *b = (block *)((unsigned char *)p - HEAD);
  b = (block *)((unsigned char *)b - b->shift);
  b->next = free_blocks[b->class];
  free_blocks[b->class] = b;
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  unsigned char *p = malloc(alignment <= 16 ? size : size + alignment);
  if (!p) return 12;
  if (alignment > 16) {
    block *whole = (block *)(p - HEAD);
    uintptr_t aligned = ((uintptr_t)p + alignment - 1) & ~(uintptr_t)(alignment - 1);
    uint32_t shift = (uint32_t)(aligned - (uintptr_t)p);
    block *head = (block *)(aligned - HEAD);
    head->class = whole->class;
    head->shift = shift;
    p = (unsigned char *)aligned;
  }
  *out = p;
  return 0;
}

void *aligned_alloc(size_t alignment, size_t size) {
  void *p = NULL;
  return posix_memalign(&p, alignment, size) == 0 ? p : NULL;
}

// Swift's Dictionary and Set ask for a random seed; guests are to give the same answer everywhere.
void arc4random_buf(void *to, size_t size) { memset(to, 0x5a, size); }

// Swift's print: a line to the log.
int putchar(int byte) {
  static char line[256];
  static int32_t size;
  if (byte == '\n' || size == sizeof line) {
    roost_log(1, line, size);
    size = 0;
  }
  if (byte != '\n') line[size++] = (char)byte;
  return byte;
}

// The exports that every module has.

static void *buffer;
static const void *message;
static uint32_t message_size;

__attribute__((export_name("roost_abi"))) int32_t roost_abi(void) { return 1; }

__attribute__((export_name("roost_buffer"))) void *roost_buffer(uint32_t size) {
  free(buffer);
  return buffer = malloc(size);
}

__attribute__((export_name("roost_message"))) uint64_t roost_message(void) {
  return (uint64_t)(uintptr_t)message << 32 | message_size;
}

int32_t roost_fail_text(const void *text, uint32_t size) {
  message = text;
  message_size = size;
  return -1;
}

const void *roost_last_message(uint32_t *size) {
  *size = message_size;
  return message;
}

int32_t roost_fail(const char *text) { return roost_fail_text(text, (uint32_t)strlen(text)); }

roost_fields roost_keep(const uint8_t *data, uint32_t size) {
  uint8_t *copy = malloc(size);
  if (!copy) return (roost_fields){(const uint8_t *)"", 1};
  memcpy(copy, data, size);
  return (roost_fields){copy, size};
}

// Batches (spec/wasm-abi.md, "Batches").

uint32_t roost_dimension_;

__attribute__((weak)) void searched_near(const float *vector, uint32_t count) { (void)vector, (void)count; }

roost_batch roost_begin(const uint8_t *input, uint32_t count, bool has_distances) {
  uintptr_t at = (uintptr_t)input + ((const uint32_t *)input)[count];
  at = (at + 15) & ~(uintptr_t)15;
  roost_batch batch = {input, NULL, NULL};
  if (has_distances) {
    batch.distances = (const float *)at;
    at += (count * sizeof(float) + 15) & ~(uintptr_t)15;
  }
  batch.vectors = (const float *)at;
  return batch;
}

// The payload encoding (spec/wasm-abi.md, "Payloads"). The host writes it, so lengths are trusted.

static uint32_t varint(const uint8_t **at) {
  uint32_t value = *(*at)++;
  if (value < 0x80) return value;
  value &= 0x7f;
  for (uint32_t shift = 7;; shift += 7) {
    uint32_t byte = *(*at)++;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

typedef uint32_t __attribute__((aligned(1), may_alias)) u32_at_any;
typedef int64_t __attribute__((aligned(1), may_alias)) i64_at_any;
typedef double __attribute__((aligned(1), may_alias)) f64_at_any;

static const uint8_t *skip(const uint8_t *at) {
  switch (*at++) {
    case ROOST_INT:
    case ROOST_DOUBLE:
    case ROOST_DATETIME: return at + 8;
    case ROOST_GEO: return at + 16;
    case ROOST_STRING:
    case ROOST_BYTES: {
      uint32_t size = varint(&at);
      return at + size;
    }
    case ROOST_ARRAY:
    case ROOST_MAP: return at + 4 + *(const u32_at_any *)at;
    default: return at;
  }
}

static const uint8_t *read(const uint8_t *at, roost_value *value) {
  value->tag = (roost_tag)*at++;
  switch (value->tag) {
    case ROOST_INT:
    case ROOST_DATETIME: value->of.integer = *(const i64_at_any *)at; return at + 8;
    case ROOST_DOUBLE: value->of.number = *(const f64_at_any *)at; return at + 8;
    case ROOST_GEO:
      value->of.geo.latitude = *(const f64_at_any *)at;
      value->of.geo.longitude = *(const f64_at_any *)(at + 8);
      return at + 16;
    case ROOST_STRING:
    case ROOST_BYTES:
      value->of.bytes.size = varint(&at);
      value->of.bytes.data = at;
      return at + value->of.bytes.size;
    case ROOST_ARRAY: {
      const uint8_t *end = at + 4 + *(const u32_at_any *)at;
      at += 4;
      value->of.array.count = varint(&at);
      value->of.array.data = at;
      value->of.array.size = (uint32_t)(end - at);
      return end;
    }
    case ROOST_MAP:
      value->of.map.size = *(const u32_at_any *)at;
      value->of.map.data = at + 4;
      return at + 4 + value->of.map.size;
    default: return at;
  }
}

bool roost_get(roost_fields fields, const char *name, size_t name_size, roost_value *value) {
  const uint8_t *at = fields.data;
  for (uint32_t left = varint(&at); left; left--) {
    uint32_t size = varint(&at);
    if (size == name_size && memcmp(at, name, size) == 0) {
      read(at + size, value);
      return true;
    }
    at = skip(at + size);
  }
  return false;
}

bool roost_next(roost_value *array, roost_value *element) {
  if (array->tag != ROOST_ARRAY || array->of.array.count == 0) return false;
  const uint8_t *end = read(array->of.array.data, element);
  array->of.array.size -= (uint32_t)(end - array->of.array.data);
  array->of.array.data = end;
  array->of.array.count--;
  return true;
}

bool roost_number(const roost_value *value, double *number) {
  if (value->tag == ROOST_INT) *number = (double)value->of.integer;
  else if (value->tag == ROOST_DOUBLE) *number = value->of.number;
  else return false;
  return true;
}

bool roost_is(const roost_value *value, const char *text) {
  if (value->tag != ROOST_STRING && value->tag != ROOST_BYTES) return false;
  return value->of.bytes.size == strlen(text) && memcmp(value->of.bytes.data, text, value->of.bytes.size) == 0;
}

__attribute__((import_module("roost"), import_name("kv_get"))) int32_t roost_kv_get(
    const void *key, uint32_t key_size, void *target, uint32_t capacity);

bool roost_state(const void *key, size_t key_size, roost_value *value) {
  static uint8_t *found;
  static uint32_t capacity;
  int32_t size = roost_kv_get(key, (uint32_t)key_size, found, capacity);
  if (size < 0) return false;
  if ((uint32_t)size > capacity) {
    free(found);
    found = malloc((uint32_t)size);
    capacity = found ? (uint32_t)size : 0;
    if (!found) return false;
    roost_kv_get(key, (uint32_t)key_size, found, capacity);
  }
  read(found, value);
  return true;
}
