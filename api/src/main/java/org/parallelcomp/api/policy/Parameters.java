package org.parallelcomp.api.policy;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;

/** The values of a policy's parameters: complete, and valid by their declarations. */
public final class Parameters {
  private final Map<String, String> values;
  private final Map<String, List<Object>> policies;

  private Parameters(Map<String, String> values, Map<String, List<Object>> policies) {
    this.values = values;
    this.policies = policies;
  }

  /**
   * Checks given values against their declarations, fills in the defaults, and makes the policies
   * that are values.
   *
   * @param owner the policy's name, for messages
   * @param lookup where policies that are values are found
   * @throws InferenceException INVALID_ARGUMENT that names every fault at once, also those of the
   *     policies that are values
   */
  public static Parameters of(
      String owner, List<Parameter> declared, Map<String, String> given, PolicyLookup lookup) {
    List<String> names = declared.stream().map(Parameter::name).toList();
    var faults = new ArrayList<String>();
    for (String name : given.keySet()) {
      if (!names.contains(name)) {
        faults.add(Names.unknown("parameter", name, names).getMessage());
      }
    }
    var values = new LinkedHashMap<String, String>();
    var policies = new LinkedHashMap<String, List<Object>>();
    for (Parameter parameter : declared) {
      String value = given.getOrDefault(parameter.name(), parameter.defaultValue());
      String fault = parameter.fault(value);
      if (fault != null) {
        faults.add(parameter.name() + " " + fault + ".");
      } else if (parameter.policyKind() != null) {
        policies.put(
            parameter.name(), make(parameter, parameter.policyKind(), value, lookup, faults));
      }
      values.put(parameter.name(), value);
    }
    if (!faults.isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, owner + ": " + String.join(" ", faults));
    }
    return new Parameters(values, policies);
  }

  private static List<Object> make(
      Parameter parameter,
      PolicyKind kind,
      String value,
      PolicyLookup lookup,
      List<String> faults) {
    var made = new ArrayList<Object>();
    boolean single = parameter.type() == Parameter.Type.POLICY;
    for (String text : single ? List.of(value) : PolicySpec.parseList(value)) {
      PolicySpec spec = PolicySpec.parse(text);
      try {
        made.add(lookup.policy(kind, spec.name()).create(spec.parameters(), lookup));
      } catch (InferenceException e) {
        faults.add(parameter.name() + ": " + e.getMessage());
      }
    }
    return List.copyOf(made);
  }

  /**
   * Returns the policy of a parameter that is a policy.
   *
   * @param type the type of the parameter's {@link PolicyKind}
   */
  public <T> T policy(String name, Class<T> type) {
    return policies(name, type).getFirst();
  }

  /**
   * Returns the policies of a parameter that is a list of policies.
   *
   * @param type the type of the parameter's {@link PolicyKind}
   */
  public <T> List<T> policies(String name, Class<T> type) {
    List<Object> made = policies.get(name);
    if (made == null) {
      throw new IllegalArgumentException("parameter '" + name + "' was not declared as a policy");
    }
    return made.stream().<T>map(type::cast).toList();
  }

  /** Returns the value of a whole-number parameter as an int, capped at the greatest int. */
  public int integer(String name) {
    return (int) Math.min(Integer.MAX_VALUE, Long.parseLong(text(name)));
  }

  /** Returns the value of a whole-number parameter. */
  public long longInteger(String name) {
    return Long.parseLong(text(name));
  }

  /** Returns the value of a number parameter. */
  public double number(String name) {
    return Double.parseDouble(text(name));
  }

  /** Returns the value of a flag. */
  public boolean flag(String name) {
    return Boolean.parseBoolean(text(name));
  }

  /** Returns the value as text, which for a choice is the chosen word. */
  public String text(String name) {
    String value = values.get(name);
    if (value == null) {
      throw new IllegalArgumentException("parameter '" + name + "' was not declared");
    }
    return value;
  }
}
