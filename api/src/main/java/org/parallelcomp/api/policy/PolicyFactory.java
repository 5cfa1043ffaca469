package org.parallelcomp.api.policy;

import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * A policy by its name: what it is, what it can be told, and how it is made.
 *
 * @param <T> the type of {@link PolicyKind#type()}
 * @param kind the seam that it fills
 * @param name the name by which users choose it, unique within its kind, in lower-case kebab form
 * @param summary one line on what it does
 * @param description how it does it, with the paper it comes from and how it differs from it
 * @param parameters what it can be told
 * @param constructor makes it from checked parameters; may throw INVALID_ARGUMENT
 */
public record PolicyFactory<T>(
    PolicyKind kind,
    String name,
    String summary,
    String description,
    List<Parameter> parameters,
    Function<Parameters, T> constructor) {
  public PolicyFactory {
    parameters = List.copyOf(parameters);
  }

  /**
   * Makes the policy.
   *
   * @param given values that differ from the defaults
   * @param lookup where policies that are values of parameters are found
   * @throws org.parallelcomp.api.error.InferenceException INVALID_ARGUMENT that names every fault
   */
  public T create(Map<String, String> given, PolicyLookup lookup) {
    return constructor.apply(Parameters.of(name, parameters, given, lookup));
  }

  /** Makes the policy, which holds no others. */
  public T create(Map<String, String> given) {
    return create(given, PolicyLookup.NONE);
  }
}
