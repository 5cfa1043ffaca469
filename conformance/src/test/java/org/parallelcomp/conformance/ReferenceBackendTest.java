package org.parallelcomp.conformance;

import java.io.IOException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.conformance.reference.ReferenceBackendProvider;

/** The kit passes on its own oracle, guards and refusals included. */
class ReferenceBackendTest extends BackendConformance {
  private static long testsBefore;
  private static long casesBefore;

  @Override
  protected BackendProvider provider() {
    return new ReferenceBackendProvider();
  }

  @BeforeAll
  static void count() {
    testsBefore = Rules.testsRun();
    casesBefore = Twins.cases();
  }

  @AfterAll
  static void theFiguresAreInTheDocumentation() throws IOException {
    long tests = Rules.testsRun() - testsBefore;
    long all = SpecTest.tests().count();
    long untested = SpecTest.tests().filter(t -> t.getName().startsWith("untested_")).count();
    if (tests < all - untested || KitSettings.THOROUGH) {
      // A part of the kit was run, or more than the usual.
      return;
    }
    Documentation.assertAtLeast(
        "figures of the backend kit",
        "The backend kit has %d rules and %d tests, of which %d say why they cannot be tested; on the oracle it runs %d seeded cases.",
        SpecTest.rules().size(),
        all,
        untested,
        Twins.cases() - casesBefore);
  }
}
