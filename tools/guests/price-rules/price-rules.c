// Passes what a customer can afford: price × (1 − discount) + shipping is at most `budget`. The discount is that of
// the customer's group in the record's map `discounts`; from `free_from` on, shipping is free.
// Parameters: {"budget": 100, "group": "member", "free_from": 50}; the last two may be missing.
#include <roost.h>

ROOST_READS_FIELDS("discounts\nprice\nshipping")

static double budget, free_from = __builtin_inf();
static roost_value group;

int32_t configure(roost_fields parameters) {
  roost_value value;
  if (!roost_get(parameters, "budget", 6, &value) || !roost_number(&value, &budget))
    return roost_fail("'budget' must be a number");
  if (roost_get(parameters, "free_from", 9, &value) && !roost_number(&value, &free_from))
    return roost_fail("'free_from' must be a number");
  if (!roost_get(parameters, "group", 5, &group)) group.tag = ROOST_NULL;
  return 0;
}

static double number(roost_fields fields, const char *name, uint32_t size, double otherwise) {
  roost_value value;
  double number;
  return roost_get(fields, name, size, &value) && roost_number(&value, &number) ? number : otherwise;
}

bool passes(roost_candidate candidate) {
  double price = number(candidate.fields, "price", 5, -1);
  if (price < 0) return false;
  roost_value discounts;
  if (group.tag == ROOST_STRING && roost_get(candidate.fields, "discounts", 9, &discounts) && discounts.tag == ROOST_MAP)
    price *= 1 - number(discounts.of.map, (const char *)group.of.bytes.data, group.of.bytes.size, 0);
  if (price < free_from) price += number(candidate.fields, "shipping", 8, 0);
  return price <= budget;
}

ROOST_DEFINE_FILTER
