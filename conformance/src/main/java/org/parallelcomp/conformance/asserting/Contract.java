package org.parallelcomp.conformance.asserting;

import java.util.function.Supplier;

/** What a broken promise becomes. */
final class Contract {
  private Contract() {}

  static void require(boolean kept, Supplier<String> fault) {
    if (!kept) {
      throw new AssertionError("contract: " + fault.get());
    }
  }
}
