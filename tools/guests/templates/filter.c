// Passes records whose number in "price" is at most `max`. Parameters: {"max": 100}.
#include <roost.h>

static double max;

int32_t configure(roost_fields parameters) {
  roost_value value;
  if (!roost_get(parameters, "max", 3, &value) || !roost_number(&value, &max))
    return roost_fail("'max' must be a number");
  return 0;
}

bool passes(roost_candidate candidate) {
  roost_value value;
  double price;
  return roost_get(candidate.fields, "price", 5, &value) && roost_number(&value, &price) && price <= max;
}

ROOST_DEFINE_FILTER
