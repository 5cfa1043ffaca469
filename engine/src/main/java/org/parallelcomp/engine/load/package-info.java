/**
 * Model files to configuration, weight regions and tokenizer definition; knows files, not maths.
 */
@NullMarked
package org.parallelcomp.engine.load;

import org.jspecify.annotations.NullMarked;
