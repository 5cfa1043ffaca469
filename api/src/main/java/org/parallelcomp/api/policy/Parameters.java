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

  private Parameters(Map<String, String> values) {
    this.values = values;
  }

  /**
   * Checks given values against their declarations and fills in the defaults.
   *
   * @param owner the policy's name, for messages
   * @throws InferenceException INVALID_ARGUMENT that names every fault at once
   */
  public static Parameters of(String owner, List<Parameter> declared, Map<String, String> given) {
    List<String> names = declared.stream().map(Parameter::name).toList();
    var faults = new ArrayList<String>();
    for (String name : given.keySet()) {
      if (!names.contains(name)) {
        faults.add(Names.unknown("parameter", name, names).getMessage());
      }
    }
    var values = new LinkedHashMap<String, String>();
    for (Parameter parameter : declared) {
      String value = given.getOrDefault(parameter.name(), parameter.defaultValue());
      String fault = parameter.fault(value);
      if (fault != null) {
        faults.add(parameter.name() + " " + fault + ".");
      }
      values.put(parameter.name(), value);
    }
    if (!faults.isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, owner + ": " + String.join(" ", faults));
    }
    return new Parameters(values);
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
