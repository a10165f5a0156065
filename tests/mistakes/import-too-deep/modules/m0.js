import "m1";
