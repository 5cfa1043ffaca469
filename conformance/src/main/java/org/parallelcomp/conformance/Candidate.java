package org.parallelcomp.conformance;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyLookup;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.Preset;

/**
 * A policy with the parameters that it is tested with.
 *
 * @param factory makes it
 * @param given parameters that differ from the defaults
 * @param lookup finds policies that are values of parameters
 */
record Candidate(PolicyFactory<?> factory, Map<String, String> given, PolicyLookup lookup) {
  /** Returns a policy of its own for every call. */
  Object create() {
    return factory.create(given, lookup);
  }

  /** Returns its name and parameters as users write them. */
  String label() {
    return factory.kind().label() + " " + new PolicySpec(factory.name(), given);
  }

  /**
   * Returns every policy of a kind with its defaults, with each parameter at the ends of its range
   * and away from its default, and as each preset sets it. What its constructor refuses is left
   * out, except the defaults.
   */
  static List<Candidate> of(PolicyProvider provider, List<PolicyProvider> others, PolicyKind kind) {
    PolicyLookup lookup = lookup(provider, others);
    var candidates = new LinkedHashMap<String, Candidate>();
    for (PolicyFactory<?> factory : provider.policies()) {
      if (factory.kind() == kind) {
        add(candidates, new Candidate(factory, Map.of(), lookup));
        for (Parameter parameter : factory.parameters()) {
          for (String value : otherValues(parameter)) {
            addIfMade(candidates, new Candidate(factory, Map.of(parameter.name(), value), lookup));
          }
        }
        for (Preset preset : provider.presets()) {
          PolicySpec spec = preset.plan().policy(kind);
          if (spec.name().equals(factory.name())) {
            addIfMade(candidates, new Candidate(factory, new TreeMap<>(spec.parameters()), lookup));
          }
        }
      }
    }
    return List.copyOf(candidates.values());
  }

  /** Returns a look-up among all the policies of some providers. */
  static PolicyLookup lookup(PolicyProvider provider, List<PolicyProvider> others) {
    var all = new ArrayList<PolicyFactory<?>>(provider.policies());
    others.forEach(other -> all.addAll(other.policies()));
    return (kind, name) -> {
      List<PolicyFactory<?>> ofKind = all.stream().filter(f -> f.kind() == kind).toList();
      return ofKind.stream()
          .filter(factory -> factory.name().equals(name))
          .findFirst()
          .orElseThrow(
              () ->
                  Names.unknown(
                      kind.label(), name, ofKind.stream().map(PolicyFactory::name).toList()));
    };
  }

  private static void add(Map<String, Candidate> candidates, Candidate candidate) {
    candidates.putIfAbsent(candidate.label(), candidate);
  }

  private static void addIfMade(Map<String, Candidate> candidates, Candidate candidate) {
    try {
      candidate.create();
    } catch (InferenceException e) {
      if (e.code() == ErrorCode.INVALID_ARGUMENT) {
        return;
      }
      throw e;
    }
    add(candidates, candidate);
  }

  private static List<String> otherValues(Parameter parameter) {
    return switch (parameter.type()) {
      case INTEGER -> {
        long value = Long.parseLong(parameter.defaultValue());
        var values = new ArrayList<String>();
        // Odd if the default is, since many widths must be.
        for (long other : new long[] {(long) parameter.minimum(), value + 2}) {
          if (other != value && parameter.fault(Long.toString(other)) == null) {
            values.add(Long.toString(other));
          }
        }
        yield values;
      }
      case NUMBER -> {
        double value = Double.parseDouble(parameter.defaultValue());
        var values = new ArrayList<String>();
        double middle = parameter.minimum() / 2 + parameter.maximum() / 2;
        for (double other : new double[] {parameter.minimum(), middle, parameter.maximum()}) {
          if (other != value && Double.isFinite(other)) {
            values.add(Double.toString(other));
          }
        }
        yield values;
      }
      case FLAG -> List.of(Boolean.toString(!Boolean.parseBoolean(parameter.defaultValue())));
      case CHOICE ->
          parameter.choices().stream().filter(c -> !c.equals(parameter.defaultValue())).toList();
      // What texts and policies there may be only the policy knows; presets show some.
      default -> List.of();
    };
  }
}
