/** Strings to token ids and back: tokenizer, chat template, prompt parts. */
@NullMarked
package org.parallelcomp.engine.text;

import org.jspecify.annotations.NullMarked;
