// Mixes nearness with popularity: score = (1 − share) × nearness + share × p / (p + half), where p is the number in
// `field` and nearness is 1 / (1 + distance). At p = half a record has half of the popularity there is to have.
// Parameters: {"field": "installs", "half": 1000, "share": 0.3}
#include <roost.h>

static roost_value field;
static double half, share;

int32_t configure(roost_fields parameters) {
  roost_value value;
  if (!roost_get(parameters, "field", 5, &field) || field.tag != ROOST_STRING)
    return roost_fail("'field' must be a string, the name of a field");
  if (!roost_get(parameters, "half", 4, &value) || !roost_number(&value, &half) || !(half > 0))
    return roost_fail("'half' must be a number above 0");
  if (!roost_get(parameters, "share", 5, &value) || !roost_number(&value, &share) || !(share >= 0 && share <= 1))
    return roost_fail("'share' must be a number from 0 to 1");
  return 0;
}

float score(roost_candidate candidate) {
  roost_value value;
  double p = 0;
  // Distances of the metric ip may be negative.
  double nearness = candidate.distance >= 0 ? 1 / (1 + candidate.distance) : 1 - candidate.distance;
  if (roost_get(candidate.fields, (const char *)field.of.bytes.data, field.of.bytes.size, &value))
    roost_number(&value, &p);
  double popularity = p > 0 ? (p < __builtin_inf() ? p / (p + half) : 1) : 0;
  return (float)((1 - share) * nearness + share * popularity);
}

ROOST_DEFINE_SCORER
