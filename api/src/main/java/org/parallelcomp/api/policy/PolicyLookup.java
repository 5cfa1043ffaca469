package org.parallelcomp.api.policy;

import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** Where policies are found by name, for policies that hold others. */
@FunctionalInterface
public interface PolicyLookup {
  /** A look-up for policies that hold no others. */
  PolicyLookup NONE =
      (kind, name) -> {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "The " + kind.label() + " '" + name + "' was asked for where none can be looked up.");
      };

  /**
   * Returns the policy of a kind and name.
   *
   * @throws InferenceException UNKNOWN_NAME, with what exists
   */
  PolicyFactory<?> policy(PolicyKind kind, String name);
}
