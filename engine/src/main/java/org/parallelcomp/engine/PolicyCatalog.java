package org.parallelcomp.engine;

import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyLookup;
import org.parallelcomp.api.policy.Preset;

/**
 * Every policy and preset that was found.
 *
 * @param policies the policies, kind by kind
 * @param presets the presets
 */
public record PolicyCatalog(List<PolicyFactory<?>> policies, List<Preset> presets)
    implements PolicyLookup {
  public PolicyCatalog {
    policies = List.copyOf(policies);
    presets = List.copyOf(presets);
  }

  /**
   * Returns the preset of a name.
   *
   * @throws org.parallelcomp.api.error.InferenceException UNKNOWN_NAME, with what exists
   */
  public Preset preset(String name) {
    return presets.stream()
        .filter(preset -> preset.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                presets.isEmpty()
                    ? new InferenceException(
                        ErrorCode.UNKNOWN_NAME,
                        "No preset was found; put policies on the path, such as"
                            + " parallelcomp-core-policies.")
                    : Names.unknown("preset", name, presets.stream().map(Preset::name).toList()));
  }

  @Override
  public PolicyFactory<?> policy(PolicyKind kind, String name) {
    List<PolicyFactory<?>> ofKind = policies.stream().filter(p -> p.kind() == kind).toList();
    return ofKind.stream()
        .filter(policy -> policy.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                Names.unknown(
                    kind.label(), name, ofKind.stream().map(PolicyFactory::name).toList()));
  }
}
