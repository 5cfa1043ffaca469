package org.parallelcomp.backend.cpu.vector.simd;

/** Threads that share the tasks of one call, the calling thread included. */
public interface Workers {

  /** One task of a call. */
  @FunctionalInterface
  interface TaskBody {
    /**
     * Does one task.
     *
     * @param task from 0 inclusive to the number of tasks exclusive, each exactly once
     * @param worker from 0 inclusive to {@link Workers#count} exclusive; no two tasks that run at
     *     the same time have the same one, so it may index per-thread scratch
     */
    void run(int task, int worker);
  }

  /** Number of threads that may run tasks, the caller included; at least 1. */
  int count();

  /**
   * Runs all tasks and returns when the last one is done. What the caller wrote before is visible
   * to the tasks, and what they wrote is visible to the caller afterwards.
   *
   * @throws RuntimeException what a task threw; tasks not yet begun are then left out
   * @throws IllegalStateException if a task calls this
   */
  void run(int tasks, TaskBody body);

  /** Workers of the calling thread alone. */
  static Workers serial() {
    return new Workers() {
      @Override
      public int count() {
        return 1;
      }

      @Override
      public void run(int tasks, TaskBody body) {
        for (int task = 0; task < tasks; task++) {
          body.run(task, 0);
        }
      }
    };
  }
}
