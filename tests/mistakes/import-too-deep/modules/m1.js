import "m2";
