// Sets "class" to "cheap" or "dear" by the number in "price", and refuses records without one.
// Parameters: {"limit": 100}.
#include <roost.h>

static double limit;

int32_t configure(roost_fields parameters) {
  roost_value value;
  if (!roost_get(parameters, "limit", 5, &value) || !roost_number(&value, &limit))
    return roost_fail("'limit' must be a number");
  return 0;
}

int32_t transform(roost_fields record, roost_changes *changes) {
  roost_value value;
  double price;
  if (!roost_get(record, "price", 5, &value) || !roost_number(&value, &price))
    return roost_fail("'price' must be a number");
  if (price <= limit) roost_set_string(changes, "class", "cheap", 5);
  else roost_set_string(changes, "class", "dear", 4);
  return 0;
}

ROOST_DEFINE_TRANSFORM
