package org.parallelcomp.engine.load;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** Numbers of a model's configuration, each checked to be possible. */
final class Checks {
  private final Path path;

  Checks(Path path) {
    this.path = path;
  }

  /** Returns a number of things: at least one, and an int. */
  int positive(String name, @Nullable Long value) {
    if (value == null) {
      throw corrupt("does not say its " + name);
    }
    if (value < 1 || value > Integer.MAX_VALUE) {
      throw corrupt("says that its " + name + " is " + value);
    }
    return value.intValue();
  }

  /** Returns a number above zero. */
  double positiveReal(String name, double value) {
    if (!(value > 0) || value > Float.MAX_VALUE) {
      throw corrupt("says that its " + name + " is " + value);
    }
    return value;
  }

  /** Checks what must hold between the numbers. */
  void consistent(ModelConfig config, int rotaryDims) {
    if (config.queryHeads() % config.kvHeads() != 0) {
      throw corrupt(
          "has "
              + config.queryHeads()
              + " query heads, which "
              + config.kvHeads()
              + " kv heads cannot share evenly");
    }
    if (rotaryDims % 2 != 0 || rotaryDims > config.headDim()) {
      throw corrupt(
          "rotates " + rotaryDims + " of " + config.headDim() + " dimensions, which is impossible");
    }
  }

  InferenceException corrupt(String problem) {
    return new InferenceException(
        ErrorCode.CORRUPT_FILE, "The configuration of '" + path + "' " + problem + ".");
  }

  InferenceException unsupported(String problem) {
    return new InferenceException(ErrorCode.UNSUPPORTED_MODEL, "'" + path + "' " + problem + ".");
  }
}
