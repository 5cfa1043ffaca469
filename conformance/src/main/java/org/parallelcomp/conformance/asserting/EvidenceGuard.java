package org.parallelcomp.conformance.asserting;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.Set;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;

/** Shows a policy what it declared, as long as it is asked. */
final class EvidenceGuard implements AutoCloseable {
  private static final Map<String, Evidence> NEEDS =
      Map.of(
          "keys", Evidence.KEYS,
          "values", Evidence.VALUES,
          "windowQueries", Evidence.WINDOW_QUERIES,
          "attentionMass", Evidence.ATTENTION_MASS,
          "contextQueries", Evidence.CONTEXT_QUERIES,
          "unrotatedKeys", Evidence.UNROTATED_KEYS,
          "unrotatedContextQueries", Evidence.UNROTATED_QUERIES,
          "meanRotation", Evidence.MEAN_ROTATION,
          "outputProjection", Evidence.OUTPUT_PROJECTION);
  private static final Set<String> WINDOWED = Set.of("windowQueries", "attentionMass");

  private final String name;
  private final LayerEvidence real;
  private final Set<Evidence> declared;
  private final int windowTokens;
  private volatile boolean closed;

  /**
   * @param windowTokens how many of the last tokens it said that it looks at
   */
  EvidenceGuard(String name, LayerEvidence real, Set<Evidence> declared, int windowTokens) {
    this.name = name;
    this.real = real;
    this.declared = declared;
    this.windowTokens = windowTokens;
  }

  /** Returns the evidence as the policy may see it. */
  LayerEvidence evidence() {
    return (LayerEvidence)
        Proxy.newProxyInstance(
            LayerEvidence.class.getClassLoader(),
            new Class<?>[] {LayerEvidence.class},
            (proxy, method, arguments) -> call(method, arguments));
  }

  private Object call(Method method, Object[] arguments) throws Throwable {
    String asked = method.getName();
    Evidence needed = NEEDS.get(asked);
    if (needed != null) {
      Contract.require(!closed, () -> name + " reads " + needed + " behind its return");
      Contract.require(
          declared.contains(needed), () -> name + " reads " + needed + " and declared " + declared);
    }
    if (WINDOWED.contains(asked)) {
      int pass = real.contextTokens() + real.queryTokens();
      int window = (int) arguments[0] == 0 ? real.queryTokens() : (int) arguments[0];
      int most = windowTokens == 0 ? real.queryTokens() : windowTokens;
      Contract.require(
          Math.min(window, pass) <= Math.min(most, pass),
          () -> name + " looks at " + window + " tokens, its window is " + most);
    }
    try {
      return method.invoke(real, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  @Override
  public void close() {
    closed = true;
  }
}
