package org.parallelcomp.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.parallelcomp.engine.Cancellation;

/**
 * Lets Ctrl-C end a request in good order: the process ends once the engine has freed its memory,
 * which takes a chunk's time at most. Close it after the engine.
 */
final class Interrupt implements AutoCloseable {
  /** Longer than a chunk takes on a slow machine; then the process ends anyway. */
  private static final long WAIT_SECONDS = 10;

  private final Cancellation cancellation = new Cancellation();
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Thread hook;

  Interrupt() {
    hook =
        new Thread(
            () -> {
              cancellation.cancel();
              try {
                ended.await(WAIT_SECONDS, TimeUnit.SECONDS);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "interrupt");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Returns the switch that Ctrl-C throws. */
  Cancellation cancellation() {
    return cancellation;
  }

  @Override
  public void close() {
    ended.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException _) {
      // The process is ending already, which is what the hook waits for.
    }
  }
}
