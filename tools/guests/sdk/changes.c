// Roost guest SDK for C: what a transform changes in a record, encoded as the host reads it.
#include "roost.h"

typedef struct change {
  uint32_t name_at, name_size;
  uint32_t at, size;  // the encoded value; both lie in `values`
} change;

// Of the record at hand; the arrays are kept for the next one.
struct roost_changes {
  change *list;
  uint32_t count, list_capacity;
  uint8_t *values;
  uint32_t values_size, values_capacity;
};

static void *grown(void *old, uint32_t used, uint32_t need, uint32_t *capacity, uint32_t each) {
  if (need <= *capacity) return old;
  uint32_t room = *capacity ? *capacity : 64;
  while (room < need) room *= 2;
  void *new = malloc((size_t)room * each);
  if (!new) __builtin_trap();
  memcpy(new, old, (size_t)used * each);
  free(old);
  *capacity = room;
  return new;
}

static void append(roost_changes *c, const void *data, uint32_t size) {
  c->values = grown(c->values, c->values_size, c->values_size + size, &c->values_capacity, 1);
  memcpy(c->values + c->values_size, data, size);
  c->values_size += size;
}

static uint32_t varint(uint8_t *to, uint32_t value) {
  uint32_t size = 0;
  for (; value >= 0x80; value >>= 7) to[size++] = (uint8_t)(value | 0x80);
  to[size++] = (uint8_t)value;
  return size;
}

static void append_varint(roost_changes *c, uint32_t value) {
  uint8_t bytes[5];
  append(c, bytes, varint(bytes, value));
}

static int order(const roost_changes *c, uint32_t place, const char *name, uint32_t size) {
  const change *a = &c->list[place];
  int found = memcmp(c->values + a->name_at, name, a->name_size < size ? a->name_size : size);
  return found ? found : a->name_size < size ? -1 : a->name_size > size;
}

void roost_set(roost_changes *c, const char *name, const roost_value *value) {
  uint32_t name_at = c->values_size, size = (uint32_t)strlen(name);
  append(c, name, size);
  uint32_t start = c->values_size;
  uint8_t tag = (uint8_t)value->tag;
  append(c, &tag, 1);
  switch (value->tag) {
    case ROOST_INT:
    case ROOST_DATETIME: append(c, &value->of.integer, 8); break;
    case ROOST_DOUBLE: append(c, &value->of.number, 8); break;
    case ROOST_GEO:
      append(c, &value->of.geo.latitude, 8);
      append(c, &value->of.geo.longitude, 8);
      break;
    case ROOST_STRING:
    case ROOST_BYTES:
      append_varint(c, value->of.bytes.size);
      append(c, value->of.bytes.data, value->of.bytes.size);
      break;
    case ROOST_ARRAY: {
      uint8_t count[5];
      uint32_t head = varint(count, value->of.array.count), all = head + value->of.array.size;
      append(c, &all, 4);
      append(c, count, head);
      append(c, value->of.array.data, value->of.array.size);
      break;
    }
    case ROOST_MAP:
      append(c, &value->of.map.size, 4);
      append(c, value->of.map.data, value->of.map.size);
      break;
    default: break;
  }
  uint32_t place = 0;
  while (place < c->count && order(c, place, name, size) < 0) place++;
  if (place == c->count || order(c, place, name, size) != 0) {
    c->list = grown(c->list, c->count, c->count + 1, &c->list_capacity, sizeof(change));
    memmove(c->list + place + 1, c->list + place, (c->count - place) * sizeof(change));
    c->count++;
  }
  c->list[place] = (change){name_at, size, start, c->values_size - start};
}

void roost_set_number(roost_changes *c, const char *name, double number) {
  roost_set(c, name, &(roost_value){.tag = ROOST_DOUBLE, .of.number = number});
}

void roost_set_int(roost_changes *c, const char *name, int64_t number) {
  roost_set(c, name, &(roost_value){.tag = ROOST_INT, .of.integer = number});
}

void roost_set_bool(roost_changes *c, const char *name, bool flag) {
  roost_set(c, name, &(roost_value){.tag = flag ? ROOST_TRUE : ROOST_FALSE});
}

void roost_set_string(roost_changes *c, const char *name, const char *text, uint32_t size) {
  roost_set(c, name, &(roost_value){.tag = ROOST_STRING, .of.bytes = {(const uint8_t *)text, size}});
}

void roost_remove(roost_changes *c, const char *name) {
  roost_set(c, name, &(roost_value){.tag = ROOST_NULL});
}

// The answers of the last call lie one after the other in `answers`, for the host to read.
static uint8_t *answers;
static uint32_t answers_capacity;

extern const void *roost_last_message(uint32_t *size);

int32_t roost_transform_batch(
    const uint8_t *input, uint32_t count, uint32_t *output, int32_t (*transform)(roost_fields, roost_changes *)) {
  static roost_changes changes;
  uint32_t end = 0;
  for (uint32_t i = 0; i < count; i++, output += 3) {
    changes.count = changes.values_size = 0;
    if (transform(roost_item(input, i), &changes) < 0) {
      output[0] = 1;
      output[1] = (uint32_t)(uintptr_t)roost_last_message(&output[2]);
      continue;
    }
    uint32_t need = end + 5 + changes.values_size;
    need += 5 * changes.count;
    answers = grown(answers, end, need, &answers_capacity, 1);
    output[0] = 0;
    output[1] = end;  // moved to an address below: the array may still grow
    end += varint(answers + end, changes.count);
    for (uint32_t n = 0; n < changes.count; n++) {
      const change *c = &changes.list[n];
      end += varint(answers + end, c->name_size);
      memcpy(answers + end, changes.values + c->name_at, c->name_size);
      memcpy(answers + end + c->name_size, changes.values + c->at, c->size);
      end += c->name_size + c->size;
    }
    output[2] = end - output[1];
  }
  output -= 3 * (size_t)count;
  for (uint32_t i = 0; i < count; i++, output += 3)
    if (output[0] == 0) output[1] += (uint32_t)(uintptr_t)answers;
  return (int32_t)count;
}
