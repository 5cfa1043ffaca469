package org.parallelcomp.api.policy;

/** How the chunks are prefilled. */
public enum PrefillMode {
  /** Each on its own, at reused positions, with the question behind. */
  PARALLEL,
  /**
   * One behind the other over one cache, which is cut to the budget after each chunk and whose keys
   * are rotated to the places that they then hold.
   */
  SEQUENTIAL
}
