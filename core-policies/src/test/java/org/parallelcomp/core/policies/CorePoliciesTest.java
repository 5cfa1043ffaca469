package org.parallelcomp.core.policies;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.ContextMerge;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.core.policies.score.WindowAttention;

class CorePoliciesTest {
  private final PolicyProvider provider = new CorePolicies();

  @Test
  void theModuleProvidesThePolicies() {
    assertTrue(
        CorePolicies.class.getModule().getDescriptor().provides().stream()
            .anyMatch(
                p ->
                    p.service().equals(PolicyProvider.class.getName())
                        && p.providers().equals(List.of(CorePolicies.class.getName()))));
  }

  @Test
  void everyPolicyIsMadeFromItsDefaultsAsTheTypeOfItsKind() {
    for (PolicyFactory<?> factory : provider.policies()) {
      assertInstanceOf(
          factory.kind().type(), factory.create(Map.of(), Named.LOOKUP), factory.name());
      assertTrue(factory.name().matches("[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*"), factory.name());
      assertTrue(factory.summary().endsWith("."), factory.name());
    }
  }

  @Test
  void namesAreUniqueWithinAKind() {
    List<String> names = provider.policies().stream().map(f -> f.kind() + " " + f.name()).toList();
    assertEquals(names.size(), names.stream().distinct().count());
  }

  @Test
  void everyPresetNamesPoliciesThatCanBeMade() {
    for (Preset preset : provider.presets()) {
      preset
          .plan()
          .policies()
          .forEach(
              (kind, spec) ->
                  Named.LOOKUP.policy(kind, spec.name()).create(spec.parameters(), Named.LOOKUP));
    }
    assertEquals(
        List.of(
            "parallelcomp",
            "parallelcomp-adaptive",
            "parallelcomp-reread",
            "parallelcomp-paper",
            "parallelcomp-calibrated",
            "full",
            "snapkv",
            "pyramidkv",
            "adakv",
            "criticalkv",
            "chunkkv",
            "tova",
            "h2o",
            "finch",
            "expected-attention",
            "compactor",
            "keydiff",
            "lagkv",
            "streaming-llm"),
        provider.presets().stream().map(Preset::name).toList());
  }

  @Test
  void everyPolicySurvivesItsTextForm() {
    for (Preset preset : provider.presets()) {
      for (PolicySpec spec : preset.plan().policies().values()) {
        assertEquals(spec, PolicySpec.parse(spec.toString()));
      }
    }
  }

  @Test
  void mergesAreTheTwoOfTheContract() {
    assertEquals(
        new ContextMerge.Parallel(),
        Named.LOOKUP.policy(PolicyKind.MERGE, "parallel").create(Map.of()));
    assertEquals(
        new ContextMerge.Reread(),
        Named.LOOKUP.policy(PolicyKind.MERGE, "reread").create(Map.of()));
  }

  @Test
  void allFaultyParametersAreNamedAtOnceWithTheNearestName() {
    InferenceException refused =
        assertThrows(
            InferenceException.class,
            () ->
                WindowAttention.FACTORY.create(
                    Map.of("windw", "8", "pool", "0", "pooling", "median")));
    String message = refused.getMessage();
    assertTrue(message.contains("did you mean 'window'?"), message);
    assertTrue(message.contains("pool must be a whole number of at least 1, not 0"), message);
    assertTrue(message.contains("pooling must be one of max, average, none"), message);
  }

  @Test
  void everyParameterIsExplainedWithItsUnit() {
    for (PolicyFactory<?> factory : provider.policies()) {
      String missing =
          factory.parameters().stream()
              .filter(p -> p.meaning().isBlank())
              .map(p -> factory.name() + "." + p.name())
              .collect(Collectors.joining(", "));
      assertEquals("", missing);
    }
  }
}
