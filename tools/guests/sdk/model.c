// Roost guest SDK: the model file that `roost module build --model` links into a module; without one, nothing.
#include "roost.h"

__attribute__((aligned(64))) static const uint8_t model[] = {
#ifdef ROOST_MODEL
#embed ROOST_MODEL
#else
  0
#endif
};

const uint8_t *roost_model_start(void) { return model; }

uint32_t roost_model_size(void) {
#ifdef ROOST_MODEL
  return sizeof model;
#else
  return 0;
#endif
}
