import "m4";
