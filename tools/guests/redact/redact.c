// Hides what should not be stored: in the text of `fields`, digits of runs of at least `digits` (13: card numbers) and
// the names in e-mail addresses become '*'. Parameters: {"fields": ["note", "subject"], "digits": 13}
#include <roost.h>

static roost_value fields;
static int64_t digits_min = 13;

int32_t configure(roost_fields parameters) {
  roost_value value;
  if (!roost_get(parameters, "fields", 6, &fields) || fields.tag != ROOST_ARRAY)
    return roost_fail("'fields' must be an array of names");
  if (roost_get(parameters, "digits", 6, &value)) {
    if (value.tag != ROOST_INT || value.of.integer < 1) return roost_fail("'digits' must be a whole number above 0");
    digits_min = value.of.integer;
  }
  return 0;
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_name(uint8_t c) {
  return is_digit(c) || (c | 32) - 'a' < 26u || c == '.' || c == '_' || c == '-' || c == '+';
}

// Returns whether anything was hidden.
static bool hide(uint8_t *text, uint32_t size) {
  bool changed = false;
  for (uint32_t i = 0; i < size;) {
    // A run of digits may have single spaces or hyphens in it.
    uint32_t end = i, count = 0;
    while (end < size && (is_digit(text[end]) || (count && (text[end] == ' ' || text[end] == '-') && end + 1 < size
                                                  && is_digit(text[end + 1]))))
      count += is_digit(text[end++]);
    if (count >= digits_min)
      for (uint32_t at = i; at < end; at++)
        if (is_digit(text[at])) text[at] = '*', changed = true;
    i = end > i ? end : i + 1;
  }
  for (uint32_t i = 0; i < size; i++)
    if (text[i] == '@' && i + 1 < size && is_name(text[i + 1]))
      for (uint32_t at = i; at > 0 && is_name(text[at - 1]); at--) text[at - 1] = '*', changed = true;
  return changed;
}

int32_t transform(roost_fields record, roost_changes *changes) {
  roost_value names = fields, name, value;
  while (roost_next(&names, &name)) {
    if (name.tag != ROOST_STRING || name.of.bytes.size > 128) continue;
    char key[129] = {0};
    memcpy(key, name.of.bytes.data, name.of.bytes.size);
    if (!roost_get(record, key, name.of.bytes.size, &value) || value.tag != ROOST_STRING) continue;
    // The record's bytes are ours to change.
    if (hide((uint8_t *)value.of.bytes.data, value.of.bytes.size)) roost_set(changes, key, &value);
  }
  return 0;
}

ROOST_DEFINE_TRANSFORM
