"""Analysis: engines that take any callable and know no names."""
