package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.error.ErrorCategory;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyLookup;
import org.parallelcomp.api.policy.PolicySpec;

abstract class AnyPolicyRules extends PolicyRules {
  private static final Set<Parameter.Type> CHECKED =
      EnumSet.of(
          Parameter.Type.INTEGER,
          Parameter.Type.NUMBER,
          Parameter.Type.FLAG,
          Parameter.Type.CHOICE);
  private static final Pattern KEBAB = Pattern.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*");
  private static final Pattern SOURCE =
      Pattern.compile("\\bBased on\\b|arXiv:? ?\\d{4}\\.\\d{4,5}|\\b[Nn]o paper\\b");

  private Stream<DynamicTest> eachFactory(Consumer<PolicyFactory<?>> rule) {
    return provider().policies().stream()
        .map(
            factory ->
                test(factory.kind().label() + " " + factory.name(), () -> rule.accept(factory)));
  }

  private Stream<DynamicTest> eachCandidate(Consumer<Candidate> rule) {
    return Arrays.stream(PolicyKind.values()).flatMap(kind -> each(kind, rule));
  }

  @Test
  void required_P101_namesAreKebabAndUniqueWithinTheirKind() {
    var names = new ArrayList<String>();
    for (PolicyFactory<?> factory : provider().policies()) {
      assertTrue(KEBAB.matcher(factory.name()).matches(), factory.name());
      names.add(factory.kind().label() + " " + factory.name());
    }
    assertEquals(names.stream().distinct().toList(), names);
  }

  @TestFactory
  Stream<DynamicTest> required_P102_defaultsMakeThePolicyOfItsKind() {
    return eachFactory(
        factory -> assertInstanceOf(factory.kind().type(), factory.create(Map.of(), lookup())));
  }

  @TestFactory
  Stream<DynamicTest> required_P103_everyFaultyParameterIsNamedAtOnce() {
    return eachFactory(
        factory -> {
          var wrong = new LinkedHashMap<String, String>();
          for (Parameter parameter : factory.parameters()) {
            if (CHECKED.contains(parameter.type())) {
              wrong.put(parameter.name(), "no such value");
            }
          }
          if (!wrong.isEmpty()) {
            String message = refusal(factory, wrong);
            wrong.keySet().forEach(name -> assertTrue(message.contains(name + " must"), message));
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P104_anUnknownParameterIsRefusedWithTheNearestName() {
    return eachFactory(
        factory -> {
          refusal(factory, Map.of("no-such-parameter", "1"));
          for (Parameter parameter : factory.parameters()) {
            String message = refusal(factory, Map.of(parameter.name() + "x", "1"));
            assertTrue(message.contains("'" + parameter.name() + "'"), message);
          }
        });
  }

  private String refusal(PolicyFactory<?> factory, Map<String, String> given) {
    var refused = assertThrows(InferenceException.class, () -> factory.create(given, lookup()));
    assertEquals(ErrorCategory.USER, refused.category());
    return refused.getMessage();
  }

  @TestFactory
  Stream<DynamicTest> required_P105_everyParameterIsExplained() {
    return eachFactory(
        factory -> {
          assertTrue(factory.summary().endsWith("."), factory.summary());
          assertTrue(!factory.summary().contains("\n"), factory.summary());
          for (Parameter parameter : factory.parameters()) {
            assertTrue(KEBAB.matcher(parameter.name()).matches(), parameter.name());
            assertTrue(!parameter.meaning().isBlank(), parameter.name() + " has no meaning");
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P106_theDescriptionNamesItsSourceOrSaysThatThereIsNone() {
    return eachFactory(
        factory -> assertTrue(SOURCE.matcher(factory.description()).find(), factory.description()));
  }

  @TestFactory
  Stream<DynamicTest> required_P107_theSameIsDecidedEveryTime() {
    return eachCandidate(
        candidate -> {
          List<Object> first = Decisions.of(candidate.create(), SEED);
          assertEquals(first, Decisions.of(candidate.create(), SEED), "another instance");
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P108_nothingIsRememberedBetweenRequests() {
    return eachCandidate(
        candidate -> {
          List<Object> fresh = Decisions.of(candidate.create(), SEED);
          Object used = candidate.create();
          Decisions.of(used, SEED + 1);
          assertEquals(fresh, Decisions.of(used, SEED), "behind another request");
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P109_severalThreadsMayAskAtOnce() {
    return eachCandidate(
        candidate -> {
          Object shared = candidate.create();
          List<Callable<List<Object>>> calls = new ArrayList<>();
          for (int i = 0; i < 2; i++) {
            long seed = SEED + i;
            calls.add(() -> Decisions.of(shared, seed));
          }
          try (var threads = Executors.newFixedThreadPool(2)) {
            List<Future<List<Object>>> together = threads.invokeAll(calls);
            for (int i = 0; i < calls.size(); i++) {
              assertEquals(Decisions.of(candidate.create(), SEED + i), together.get(i).get());
            }
          } catch (InterruptedException | ExecutionException e) {
            throw new AssertionError(e);
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> required_P110_everyPresetNamesPoliciesThatCanBeMade() {
    return provider().presets().stream()
        .map(
            preset ->
                test(
                    preset.name(),
                    () -> {
                      assertTrue(KEBAB.matcher(preset.name()).matches(), preset.name());
                      preset
                          .plan()
                          .policies()
                          .forEach((kind, spec) -> assertDoesNotThrow(() -> make(kind, spec)));
                    }));
  }

  private void make(PolicyKind kind, PolicySpec spec) {
    lookup().policy(kind, spec.name()).create(spec.parameters(), lookup());
  }

  private PolicyLookup lookup() {
    return Candidate.lookup(provider(), others());
  }

  @TestFactory
  Stream<DynamicTest> required_P111_everyPolicySurvivesItsTextForm() {
    Stream<DynamicTest> ofPresets =
        provider().presets().stream()
            .map(
                preset ->
                    test(
                        preset.name(),
                        () -> preset.plan().policies().values().forEach(AnyPolicyRules::reparse)));
    return Stream.concat(
        ofPresets,
        eachCandidate(
            candidate -> reparse(new PolicySpec(candidate.factory().name(), candidate.given()))));
  }

  private static void reparse(PolicySpec spec) {
    assertEquals(spec, PolicySpec.parse(spec.toString()));
  }
}
