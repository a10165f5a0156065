import "m9";
