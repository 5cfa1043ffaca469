package org.parallelcomp.api.backend;

import java.util.List;

/** The answer of a probe: usable with a score, or every reason why not. */
public sealed interface Availability {
  /**
   * The backend can run.
   *
   * @param score the higher the better, at least 1; the engine takes the best where none is named
   * @param description one line on what was found: device, width, libraries
   */
  record Usable(int score, String description) implements Availability {
    public Usable {
      if (score < 1) {
        throw new IllegalArgumentException("a usable backend scores at least 1, not " + score);
      }
    }
  }

  /** The backend cannot run; all reasons, not only the first. */
  record Unusable(List<Reason> reasons) implements Availability {
    public Unusable {
      reasons = List.copyOf(reasons);
    }
  }

  /**
   * One obstacle.
   *
   * @param cause what is missing or wrong
   * @param remedy the flag or package that helps
   */
  record Reason(String cause, String remedy) {}
}
