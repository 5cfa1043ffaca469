package org.parallelcomp.api.policy;

import java.util.List;

/** Offers policies and presets. Registered with {@code provides PolicyProvider with …}. */
public interface PolicyProvider {
  /** Returns the policies, in the order in which they should be listed. */
  List<PolicyFactory<?>> policies();

  /** Returns the presets, in the order in which they should be listed. */
  default List<Preset> presets() {
    return List.of();
  }
}
