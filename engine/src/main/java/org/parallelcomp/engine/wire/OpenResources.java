package org.parallelcomp.engine.wire;

import java.util.ArrayDeque;
import java.util.Deque;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** What has been opened, to be closed in the opposite order. Closing twice is harmless. */
final class OpenResources implements AutoCloseable {
  private final Deque<AutoCloseable> opened = new ArrayDeque<>();

  /** Takes ownership of a resource and returns it. */
  <T extends AutoCloseable> T own(T resource) {
    opened.push(resource);
    return resource;
  }

  @Override
  public void close() {
    InferenceException failure = null;
    while (!opened.isEmpty()) {
      AutoCloseable resource = opened.pop();
      try {
        resource.close();
      } catch (Exception e) {
        if (failure == null) {
          failure =
              new InferenceException(
                  ErrorCode.INTERNAL, resource.getClass().getName() + " cannot be closed.", e);
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
