// Orders by likes and nearness: score = likes × `factor` − distance. Parameters: {"factor": 0.01}.
#include <roost.h>

static double factor;

int32_t configure(roost_fields parameters) {
  roost_value value;
  if (!roost_get(parameters, "factor", 6, &value) || !roost_number(&value, &factor))
    return roost_fail("'factor' must be a number");
  return 0;
}

float score(roost_candidate candidate) {
  roost_value value;
  double likes;
  // A score must be finite.
  if (!roost_get(candidate.fields, "likes", 5, &value) || !roost_number(&value, &likes) || !(likes < 1e9 && likes > -1e9))
    return -__builtin_inff();
  return (float)(likes * factor) - candidate.distance;
}

ROOST_DEFINE_SCORER
