package org.parallelcomp.engine.generate;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.BiFunction;
import java.util.function.Consumer;

/**
 * Spreads tasks over workers, one per device and each on a thread of its own: whoever is done takes
 * the next. Results come out in the order of the tasks, so that what is made of them does not
 * depend on how many workers there are. A lone worker works on the calling thread.
 *
 * @param <W> the type of workers
 * @param <R> what a worker makes of a task
 */
final class ChunkWorkers<W, R> {
  /**
   * So many tasks for each worker may be begun and not yet handed out, since results take memory.
   */
  static final int AHEAD = 2;

  private final BiFunction<W, Integer, R> work;
  private final Consumer<R> inOrder;
  private final int tasks;
  private final int mostAhead;
  private final Deque<W> idle;
  private final Map<Integer, R> early = new HashMap<>();
  private int begun;
  private int running;
  private int handedOut;

  private record Finished<W, R>(W worker, int task, R result) {}

  private ChunkWorkers(
      List<W> workers, int tasks, BiFunction<W, Integer, R> work, Consumer<R> inOrder) {
    this.work = work;
    this.inOrder = inOrder;
    this.tasks = tasks;
    this.mostAhead = workers.size() == 1 ? 1 : AHEAD * workers.size();
    this.idle = new ArrayDeque<>(workers);
  }

  /**
   * Works on all tasks. Where one fails, no further one is begun, and the failure is thrown once
   * all workers have stopped.
   *
   * @param tasks how many; they are numbered from 0
   * @param work makes a result of a task's number
   * @param inOrder hears the results, task by task, on the calling thread
   * @param abandon called when one failed, so that others that are under way may stop early
   */
  static <W, R> void run(
      List<W> workers,
      int tasks,
      BiFunction<W, Integer, R> work,
      Consumer<R> inOrder,
      Runnable abandon) {
    var spread = new ChunkWorkers<>(workers, tasks, work, inOrder);
    if (workers.size() == 1) {
      spread.run(Runnable::run, abandon);
      return;
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(workers.size())) {
      spread.run(threads, abandon);
    }
  }

  private void run(Executor threads, Runnable abandon) {
    CompletionService<Finished<W, R>> completions = new ExecutorCompletionService<>(threads);
    try {
      while (handedOut < tasks) {
        while (!idle.isEmpty() && begun < Math.min(tasks, handedOut + mostAhead)) {
          W worker = idle.poll();
          int task = begun++;
          running++;
          completions.submit(() -> new Finished<>(worker, task, work.apply(worker, task)));
        }
        Finished<W, R> finished = next(completions);
        idle.add(finished.worker);
        early.put(finished.task, finished.result);
        for (R next = early.remove(handedOut); next != null; next = early.remove(handedOut)) {
          handedOut++;
          inOrder.accept(next);
        }
      }
    } catch (RuntimeException | Error e) {
      abandon.run();
      stop(completions, e);
      throw e;
    }
  }

  /** Waits for those that are under way: what they use must not be freed before they are done. */
  private void stop(CompletionService<Finished<W, R>> completions, Throwable failure) {
    while (running > 0) {
      try {
        next(completions);
      } catch (RuntimeException | Error e) {
        if (e != failure) {
          failure.addSuppressed(e);
        }
      }
    }
  }

  /** Returns what is finished next, or throws what it threw. An interrupt does not end the wait. */
  private Finished<W, R> next(CompletionService<Finished<W, R>> completions) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          Future<Finished<W, R>> finished = completions.take();
          running--;
          return finished.get();
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (ExecutionException e) {
          switch (e.getCause()) {
            case RuntimeException failure -> throw failure;
            case Error failure -> throw failure;
            default -> throw new AssertionError(e.getCause());
          }
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
