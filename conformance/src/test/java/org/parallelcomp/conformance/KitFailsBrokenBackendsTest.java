package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectNestedClass;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.parallelcomp.api.backend.BackendProvider;

/** The kit can fail: each broken backend breaks the rules that speak of its fault. */
class KitFailsBrokenBackendsTest {
  // Nested, so that the build does not take them for tests of its own.
  static class LooksAhead extends BackendConformance {
    @Override
    protected BackendProvider provider() {
      return BrokenBackends.looksOneTokenAhead();
    }
  }

  static class LeavesTopKUnsorted extends BackendConformance {
    @Override
    protected BackendProvider provider() {
      return BrokenBackends.leavesTopKByScore();
    }
  }

  static class WritesTooFar extends BackendConformance {
    @Override
    protected BackendProvider provider() {
      return BrokenBackends.writesBehindRows();
    }
  }

  static class ForgetsPositions extends BackendConformance {
    @Override
    protected BackendProvider provider() {
      return BrokenBackends.keepsPositionsOnRotation();
    }
  }

  static class RefusesWrongly extends BackendConformance {
    @Override
    protected BackendProvider provider() {
      return BrokenBackends.deniesEveryWeightType();
    }
  }

  static class LosesPrecision extends BackendConformance {
    @Override
    protected BackendProvider provider() {
      return BrokenBackends.multipliesInHalfPrecision();
    }
  }

  private static Set<String> failures(Class<? extends BackendConformance> kit, Class<?> family) {
    return EngineTestKit.engine("junit-jupiter")
        .selectors(selectNestedClass(List.of(kit), family))
        .execute()
        .testEvents()
        .failed()
        .stream()
        .map(event -> event.getTestDescriptor().getDisplayName().replace("()", ""))
        .collect(Collectors.toSet());
  }

  private static void assertFails(
      Class<? extends BackendConformance> kit, Class<?> family, String... rules) {
    Set<String> failures = failures(kit, family);
    assertTrue(failures.containsAll(Set.of(rules)), kit.getSimpleName() + " failed " + failures);
  }

  @Test
  void aWrongCausalOffsetIsFound() {
    assertFails(
        LooksAhead.class,
        BackendConformance.Attention.class,
        "required_B401_causalAttentionSeesItsOwnAndEarlierTokensOnly",
        "required_B403_attentionInPiecesIsAttentionAtOnce",
        "required_B402_cachesOfHalfPrecisionAreAttendedOrRefused");
  }

  @Test
  void anUnsortedTopKIsFound() {
    assertFails(
        LeavesTopKUnsorted.class,
        BackendConformance.TensorOperations.class,
        "required_B211_topKIsSortedByPositionWithTiesToTheEarlierAndNanLowest");
  }

  @Test
  void aWriteOutsideOfTheOutputIsFound() {
    assertFails(
        WritesTooFar.class,
        BackendConformance.DecoderOperations.class,
        "required_B306_rmsNormWorksOnRowsOfAnyRankAndInPlace");
  }

  @Test
  void aForgottenPositionIsFound() {
    assertFails(
        ForgetsPositions.class,
        BackendConformance.Cache.class,
        "required_B508_rerotatingMovesEveryKeyToItsPlace");
  }

  @Test
  void servingWhatIsDeclaredUnsupportedIsFound() {
    assertFails(
        RefusesWrongly.class,
        BackendConformance.DecoderOperations.class,
        "required_B302_linearLayersWorkForEveryWeightTypeAtEverySize");
  }

  @Test
  void halfPrecisionProductsOfSinglePrecisionNumbersAreFound() {
    assertFails(
        LosesPrecision.class,
        BackendConformance.DecoderOperations.class,
        "required_B303_linearLayersOfPlainTypesWorkForAnyInputSize");
  }
}
