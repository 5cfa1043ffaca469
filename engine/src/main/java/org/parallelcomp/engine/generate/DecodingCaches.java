package org.parallelcomp.engine.generate;

import org.parallelcomp.engine.model.LayerCaches;

/** The caches that the tokens of an answer attend to, and are appended to. */
interface DecodingCaches extends LayerCaches {
  /** Returns the position of the next token. */
  int nextPosition();

  /** Says that a token of the answer has passed. */
  void afterToken();

  /** Returns the keys' and values' bytes now. */
  long bytes();

  /** Returns how often the caches were cut while decoding. */
  int cuts();
}
