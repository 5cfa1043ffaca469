/** The parallelcomp command: options to requests, results to text or JSON, errors to a sentence. */
@NullMarked
package org.parallelcomp.cli;

import org.jspecify.annotations.NullMarked;
