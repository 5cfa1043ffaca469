package org.parallelcomp.api.policy;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * A policy by name, with those parameters that differ from its defaults. Its text form is {@code
 * name} or {@code name(parameter=value, …)}; a value must not hold a comma or a closing
 * parenthesis.
 *
 * @param name the policy's name
 * @param parameters given values, by parameter name
 */
public record PolicySpec(String name, Map<String, String> parameters) {
  public PolicySpec {
    parameters = Collections.unmodifiableMap(new TreeMap<>(parameters));
  }

  /** Returns a policy with its defaults. */
  public static PolicySpec of(String name) {
    return new PolicySpec(name, Map.of());
  }

  /**
   * Returns the policy that a text describes.
   *
   * @throws InferenceException INVALID_ARGUMENT if the text is not of the form
   */
  public static PolicySpec parse(String text) {
    String trimmed = text.strip();
    int open = trimmed.indexOf('(');
    if (open < 0) {
      return of(trimmed);
    }
    if (!trimmed.endsWith(")")) {
      throw malformed(text);
    }
    var parameters = new TreeMap<String, String>();
    String inside = trimmed.substring(open + 1, trimmed.length() - 1);
    for (String pair : inside.isBlank() ? new String[0] : inside.split(",")) {
      int equals = pair.indexOf('=');
      if (equals < 0) {
        throw malformed(text);
      }
      parameters.put(pair.substring(0, equals).strip(), pair.substring(equals + 1).strip());
    }
    return new PolicySpec(trimmed.substring(0, open).strip(), parameters);
  }

  private static InferenceException malformed(String text) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT,
        "'" + text + "' is not of the form name(parameter=value, parameter=value).");
  }

  /** Returns this policy with one parameter set. */
  public PolicySpec with(String parameter, Object value) {
    var changed = new TreeMap<>(parameters);
    changed.put(parameter, value.toString());
    return new PolicySpec(name, changed);
  }

  @Override
  public String toString() {
    return parameters.isEmpty()
        ? name
        : parameters.entrySet().stream()
            .map(e -> e.getKey() + "=" + e.getValue())
            .collect(Collectors.joining(", ", name + "(", ")"));
  }
}
