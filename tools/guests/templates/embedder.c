// Embeds text by how often each letter from a to z occurs in it, upper case or lower.
#include <roost.h>

int32_t embed(const uint8_t *text, uint32_t size, float *vector) {
  // The last element tells texts without letters from nothing at all.
  vector[26] = 1;
  for (uint32_t i = 0; i < size; i++) {
    uint32_t letter = (text[i] | 32u) - 'a';
    if (letter < 26) vector[letter] += 1;
  }
  return 0;
}

ROOST_DEFINE_EMBEDDER(27)
