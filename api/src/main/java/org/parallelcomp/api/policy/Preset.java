package org.parallelcomp.api.policy;

/**
 * A plan that users choose by name.
 *
 * @param summary one line on when to take it
 * @param plan the plan; its name is the preset's
 */
public record Preset(String summary, Plan plan) {
  /** Returns the name by which users choose it. */
  public String name() {
    return plan.name();
  }
}
