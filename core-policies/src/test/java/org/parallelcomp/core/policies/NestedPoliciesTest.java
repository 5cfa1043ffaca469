package org.parallelcomp.core.policies;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyLookup;
import org.parallelcomp.api.policy.PolicySpec;

/** Policies that hold policies: their text form, and how they are checked. */
class NestedPoliciesTest {
  private static final List<PolicyFactory<?>> FACTORIES =
      List.of(
          leaf("plain"),
          new PolicyFactory<>(
              PolicyKind.TOKEN_SCORER,
              "pair",
              "",
              "",
              List.of(
                  Parameter.policy("base", PolicyKind.TOKEN_SCORER, "plain(weight=3)", ""),
                  Parameter.policies("more", PolicyKind.TOKEN_SCORER, "[plain]", ""),
                  Parameter.integer("count", 1, 1, "", "")),
              p ->
                  p.policy("base", Object.class)
                      + "+"
                      + p.policies("more", Object.class)
                      + "*"
                      + p.integer("count")));
  private static final PolicyLookup LOOKUP =
      (kind, name) ->
          FACTORIES.stream()
              .filter(f -> f.kind() == kind && f.name().equals(name))
              .findFirst()
              .orElseThrow(
                  () ->
                      Names.unknown(
                          kind.label(),
                          name,
                          FACTORIES.stream().map(PolicyFactory::name).toList()));

  private static PolicyFactory<Object> leaf(String name) {
    return new PolicyFactory<>(
        PolicyKind.TOKEN_SCORER,
        name,
        "",
        "",
        List.of(Parameter.integer("weight", 1, 1, "", "")),
        p -> name + p.integer("weight"));
  }

  private static Object make(String text) {
    PolicySpec spec = PolicySpec.parse(text);
    return LOOKUP.policy(PolicyKind.TOKEN_SCORER, spec.name()).create(spec.parameters(), LOOKUP);
  }

  @Test
  void policiesNestToAnyDepth() {
    assertEquals("plain3+[plain1]*1", make("pair"));
    assertEquals(
        "plain3+[plain1]*2+[plain4, plain1+[plain9]*1]*5",
        make(
            "pair( base = pair(count=2), more=[plain(weight=4),"
                + " pair(base=plain, more=plain(weight=9))], count=5)"));
  }

  @Test
  void textFormsAreInverse() {
    for (String text :
        List.of("a", "a(b=c)", "a(b=c(d=e, f=g), h=[i, j(k=[l, m])])", "a(b=[1-3, 4-6])")) {
      assertEquals(text, PolicySpec.parse(text).toString());
      assertEquals(PolicySpec.parse(text), PolicySpec.parse(PolicySpec.parse(text).toString()));
    }
    assertEquals(List.of("1-3", "x(y=1, z=2)"), PolicySpec.parseList("[1-3, x(y=1, z=2)]"));
    assertEquals(List.of(), PolicySpec.parseList("[]"));
  }

  @Test
  void malformedTextsAreRefused() {
    for (String text :
        List.of(
            "", "(a=b)", "a(b=c", "a(b=c))", "a(b=(c]", "a(b)", "a(b=1, b=2)", "a b", "a(b=[c)")) {
      assertThrows(InferenceException.class, () -> PolicySpec.parse(text), text);
    }
  }

  @Test
  void everyFaultIsNamedAtOnce() {
    var failure =
        assertThrows(
            InferenceException.class,
            () ->
                make("pair(base=plane, more=[plain(weight=0), plain(wait=2)], count=0, depth=2)"));
    String message = failure.getMessage();
    for (String part :
        List.of(
            "'plane'", "did you mean 'plain'", "weight must", "'wait'", "count must", "'depth'")) {
      assertTrue(message.contains(part), part + " in " + message);
    }
  }

  @Test
  void aPolicyThatWasNotDeclaredIsAFaultOfTheAuthor() {
    Parameters none = Parameters.of("x", List.of(), Map.of(), PolicyLookup.NONE);
    assertThrows(IllegalArgumentException.class, () -> none.policy("base", Object.class));
  }
}
