package org.parallelcomp.engine.registry;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.engine.PolicyCatalog;

/** The policies and presets that ServiceLoader finds. */
public final class PolicyRegistry {
  private PolicyRegistry() {}

  /**
   * Finds every policy and preset, in the order of their kinds.
   *
   * @throws InferenceException INTERNAL if two share a name or a provider cannot be instantiated
   */
  public static PolicyCatalog discover() {
    return discover(null);
  }

  /**
   * Finds every policy and preset, also those in a folder of jars.
   *
   * @param plugins the folder, or null for none
   * @throws InferenceException as {@link #discover()}; FILE_NOT_READABLE or INVALID_ARGUMENT if the
   *     folder or its jars cannot be read
   */
  public static PolicyCatalog discover(@Nullable Path plugins) {
    var policies = new ArrayList<PolicyFactory<?>>();
    var presets = new ArrayList<Preset>();
    var origins = new HashMap<String, String>();
    try {
      var providers = new ArrayList<PolicyProvider>();
      ServiceLoader.load(PolicyProvider.class).forEach(providers::add);
      if (plugins != null) {
        providers.addAll(Plugins.load(plugins));
      }
      for (PolicyProvider provider : providers) {
        String origin = Origins.of(provider.getClass());
        for (PolicyFactory<?> policy : provider.policies()) {
          claim(origins, policy.kind().label() + " '" + policy.name() + "'", origin);
          policies.add(policy);
        }
        for (Preset preset : provider.presets()) {
          claim(origins, "preset '" + preset.name() + "'", origin);
          presets.add(preset);
        }
      }
    } catch (ServiceConfigurationError e) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A policy provider cannot be loaded: " + e.getMessage() + ".", e);
    }
    policies.sort(Comparator.comparing(policy -> policy.kind()));
    return new PolicyCatalog(policies, presets);
  }

  private static void claim(HashMap<String, String> origins, String name, String origin) {
    String other = origins.putIfAbsent(name, origin);
    if (other != null) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "Two policies are named " + name + ": in " + other + " and in " + origin + ".");
    }
  }
}
