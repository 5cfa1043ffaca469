/**
 * What a trace says: {@link org.parallelcomp.report.Explanation} as numbers, {@link
 * org.parallelcomp.report.Report} as a page.
 */
@NullMarked
package org.parallelcomp.report;

import org.jspecify.annotations.NullMarked;
