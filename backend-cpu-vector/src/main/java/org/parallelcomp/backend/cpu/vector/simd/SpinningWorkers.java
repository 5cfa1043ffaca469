package org.parallelcomp.backend.cpu.vector.simd;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The caller and {@code count - 1} daemon threads, which spin for a moment between calls and then
 * park.
 *
 * <p>A decoder makes some hundred calls per token, each of 10 to 100 microseconds, so waking a
 * thread through the kernel (about 50 microseconds) would cost more than the work. Spinning is
 * bounded: an idle pool costs nothing.
 *
 * <p>Tasks are claimed by compare-and-set on one word that holds the call's number and the next
 * task. A thread that comes late finds another call's number or no task left, so the caller never
 * waits for a thread that has not begun, only for tasks that have.
 *
 * <p>Safe for any number of callers: one call runs at a time, the others wait.
 */
public final class SpinningWorkers implements Workers, AutoCloseable {

  /** A gap between two calls of one token's work lasts under 50 microseconds; twice that. */
  private static final long SPIN_NANOS = 100_000;

  /** Spins between two looks at the clock: about 64 x 40 ns, fine enough against SPIN_NANOS. */
  private static final int SPINS_PER_CLOCK_LOOK = 64;

  private static final long CALL_MASK = 0xFFFF_FFFFL;

  /** In the low bits of {@link #claim} between calls; more than any number of tasks. */
  private static final long NO_TASK = Integer.MAX_VALUE;

  private final ReentrantLock oneCallAtATime = new ReentrantLock(true);
  private final Helper[] helpers;

  /** High 32 bits: number of the call; low 32 bits: next task to claim. */
  private final AtomicLong claim = new AtomicLong(NO_TASK);

  /** Tasks of the current call that are done or left out. */
  private final AtomicInteger finished = new AtomicInteger();

  private final AtomicReference<Throwable> failure = new AtomicReference<>();

  // Written before `claim` is set, read after it was read: see runTasks.
  private volatile int tasks;
  private volatile @Nullable TaskBody body;

  private volatile @Nullable Thread waitingCaller;
  private volatile boolean closed;

  /**
   * Starts the threads.
   *
   * @param count threads in all, the caller included; at least 1
   */
  public SpinningWorkers(int count) {
    if (count < 1) {
      throw new IllegalArgumentException("count must be at least 1; count=" + count);
    }
    helpers = new Helper[count - 1];
    for (int i = 0; i < helpers.length; i++) {
      helpers[i] = new Helper(i + 1);
      helpers[i].start();
    }
  }

  @Override
  public int count() {
    return helpers.length + 1;
  }

  @Override
  public void run(int tasks, TaskBody body) {
    if (oneCallAtATime.isHeldByCurrentThread() || isOwnHelper(Thread.currentThread())) {
      throw new IllegalStateException("a task must not start tasks on the workers that run it");
    }
    if (tasks <= 0) {
      return;
    }
    oneCallAtATime.lock();
    try {
      if (closed) {
        throw new IllegalStateException("these workers are closed");
      }
      failure.set(null);
      finished.set(0);
      this.tasks = tasks;
      this.body = body;
      long call = (claim.get() >>> 32) + 1;
      claim.set(call << 32);
      // One task less than helpers is enough: the caller takes one.
      for (int i = 0; i < helpers.length && i < tasks - 1; i++) {
        helpers[i].wake();
      }
      runTasks(call & CALL_MASK, 0);
      awaitFinished(tasks);
      claim.set(call << 32 | NO_TASK);
      this.body = null;
      rethrow(failure.get());
    } finally {
      oneCallAtATime.unlock();
    }
  }

  /** Ends the threads; a running call is waited for. Closing twice is harmless. */
  @Override
  public void close() {
    oneCallAtATime.lock();
    try {
      closed = true;
      for (Helper helper : helpers) {
        LockSupport.unpark(helper);
      }
    } finally {
      oneCallAtATime.unlock();
    }
  }

  private boolean isOwnHelper(Thread thread) {
    return thread instanceof Helper helper && helper.owner() == this;
  }

  /** Claims and runs tasks of one call until none is left. */
  private void runTasks(long call, int worker) {
    while (true) {
      long current = claim.get();
      // The compare-and-set below fails if these two belong to a later call: `run` changes the word
      // (to NO_TASK) before it overwrites them.
      int count = tasks;
      TaskBody todo = body;
      int task = (int) current;
      if (current >>> 32 != call || task >= count) {
        return;
      }
      if (!claim.compareAndSet(current, current + 1)) {
        continue;
      }
      if (failure.get() == null) {
        try {
          todo.run(task, worker);
        } catch (Throwable t) {
          if (!failure.compareAndSet(null, t)) {
            Throwable first = failure.get();
            if (first != t) {
              first.addSuppressed(t);
            }
          }
        }
      }
      if (finished.incrementAndGet() == count) {
        Thread waiting = waitingCaller;
        if (waiting != null) {
          LockSupport.unpark(waiting);
        }
      }
    }
  }

  private void awaitFinished(int tasks) {
    long deadline = 0;
    for (int spins = 1; finished.get() < tasks; spins++) {
      Thread.onSpinWait();
      if (spins % SPINS_PER_CLOCK_LOOK == 0) {
        long now = System.nanoTime();
        if (deadline == 0) {
          deadline = now + SPIN_NANOS;
        } else if (now - deadline > 0) {
          waitingCaller = Thread.currentThread();
          boolean interrupted = false;
          while (finished.get() < tasks) {
            LockSupport.park(this);
            interrupted |= Thread.interrupted(); // else park would return at once
          }
          waitingCaller = null;
          if (interrupted) {
            Thread.currentThread().interrupt();
          }
          return;
        }
      }
    }
  }

  private static void rethrow(Throwable failure) {
    if (failure instanceof RuntimeException e) {
      throw e;
    }
    if (failure instanceof Error e) {
      throw e;
    }
    if (failure != null) {
      throw new IllegalStateException("a task threw a checked exception", failure);
    }
  }

  /** One of the pool's own threads. */
  private final class Helper extends Thread {

    private final int worker;
    private volatile boolean parked;

    Helper(int worker) {
      super("parallelcomp-cpu-" + worker);
      this.worker = worker;
      setDaemon(true);
    }

    SpinningWorkers owner() {
      return SpinningWorkers.this;
    }

    void wake() {
      if (parked) {
        LockSupport.unpark(this);
      }
    }

    @Override
    public void run() {
      long seen = 0;
      while (!closed) {
        seen = awaitCallAfter(seen);
        runTasks(seen, worker);
      }
    }

    /** Spins, then parks, until there is a call other than {@code seen} or the pool is closed. */
    private long awaitCallAfter(long seen) {
      long deadline = 0;
      for (int spins = 1; ; spins++) {
        long call = claim.get() >>> 32;
        if (call != seen || closed) {
          return call;
        }
        Thread.onSpinWait();
        if (spins % SPINS_PER_CLOCK_LOOK != 0) {
          continue;
        }
        long now = System.nanoTime();
        if (deadline == 0) {
          deadline = now + SPIN_NANOS;
        } else if (now - deadline > 0) {
          // The flag is set before the last look: a caller that sets `claim` after that look sees
          // it.
          parked = true;
          while (claim.get() >>> 32 == seen && !closed) {
            LockSupport.park(SpinningWorkers.this);
            Thread.interrupted(); // a set interrupt would make park return at once, for ever
          }
          parked = false;
        }
      }
    }
  }
}
