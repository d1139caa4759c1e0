// Passes records whose number in `field` is at most `max`. Parameters: {"field": "size", "max": 1000}.
// The same filter as tools/guests/size-below, in C.
#include <roost.h>

static roost_value field;
static double max;

int32_t configure(roost_fields parameters) {
  roost_value limit;
  if (!roost_get(parameters, "field", 5, &field) || field.tag != ROOST_STRING)
    return roost_fail("'field' must be a string, the name of a field");
  if (!roost_get(parameters, "max", 3, &limit) || !roost_number(&limit, &max))
    return roost_fail("'max' must be a number");
  return 0;
}

bool passes(roost_candidate candidate) {
  roost_value value;
  double number;
  return roost_get(candidate.fields, (const char *)field.of.bytes.data, field.of.bytes.size, &value)
      && roost_number(&value, &number) && number <= max;
}

ROOST_DEFINE_FILTER
